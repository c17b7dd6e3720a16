"""Texts to calibrate on where the user gives none; other texts than those of the precision check."""

# ruff: noqa: RUF001  (texts in other scripts have other commas)

from __future__ import annotations

__all__ = ["CALIBRATION_TEXTS"]

CALIBRATION_TEXTS: tuple[str, ...] = (
    # Everyday sentences.
    "The last ferry leaves at nine, so we should not order dessert.",
    "Who borrowed the ladder and did not bring it back?",
    "A man is slicing bread in a small kitchen.",
    "Two girls are riding their bicycles along the canal.",
    "Could you send me the photographs from the wedding?",
    "I'm sorry.",
    "Yes, but only if it does not snow before Monday!",
    "The lamp flickers each time the lift starts.",
    "My flight was cancelled and the airline offers no refund.",
    "How do I stop my phone from updating at night?",
    # Knowledge and news.
    "Glaciers carve wide valleys, while rivers cut narrow ones in the shape of a V.",
    "The central bank raised its rate by a quarter of a point to 4.75 percent, as most analysts had "
    "expected.",
    "Copper conducts heat about twenty times better than stainless steel does.",
    "The composer finished his ninth symphony in 1824, when he was almost entirely deaf.",
    "Vaccines train the immune system with a harmless part of the germ they protect against.",
    "After extra time the visitors won 3-2, their first title since 1998.",
    "Bees tell each other the direction of food by a dance on the comb.",
    "The court found that the contract was void, because neither party had read its second annex.",
    "Voyager 1 left the heliosphere in August 2012 and still sends back measurements at 160 bits per second.",
    "Rice was domesticated in the valley of the Yangtze some nine thousand years ago.",
    # Longer passages.
    "When the mill closed, half of the street moved away within a year. The bakery stayed, and so did the "
    "old watchmaker, who said that he had outlived three mayors and would outlive this as well. In the "
    "evenings the square was so quiet that one heard the river, which nobody had noticed while the looms "
    "were running.",
    "To change the filter, switch the unit off and wait for ten minutes. Press both clips, pull the cover "
    "towards you, and lift the cartridge out. Rinse the seal under cold water; do not use soap. Insert the "
    "new cartridge with the arrow pointing up, close the cover until it clicks, and hold the reset button "
    "for five seconds.",
    "We study how the accuracy of a classifier depends on the number of labelled examples when the labels "
    "are noisy. With symmetric noise below thirty percent, doubling the data halves the excess error; "
    "above it, the gain vanishes unless the noise is modelled. Experiments on four public collections "
    "agree with the bound.",
    "The agreement may be terminated by either party with ninety days' notice in writing. Clauses 4, 7 and "
    "11 survive termination. Amounts already invoiced fall due at once, and each party returns or destroys "
    "what it holds of the other's confidential material, except for copies which the law requires it to "
    "keep.",
    # Technical text and code.
    "def moving_average(values, width):\n    return [sum(values[i : i + width]) / width for i in "
    "range(len(values))]",
    "SELECT customer, COUNT(*) FROM orders WHERE shipped IS NULL GROUP BY customer HAVING COUNT(*) > 3;",
    "error: cannot bind non-const lvalue reference of type 'std::string&' to an rvalue of type 'std::string'",
    "The server answers 503 while the replica catches up; clients should retry with exponential backoff.",
    "git rebase --onto main feature~3 feature && git push --force-with-lease",
    "for (const auto& [key, value] : table) { if (value > limit) { evict(key); } }",
    '{"id": 48213, "tags": ["urgent", "billing"], "amount": 129.90, "currency": "EUR", "paid": false}',
    "Each worker takes a job from the queue, runs it under a lock, and signals when the result is stored.",
    # Short queries, names, numbers, symbols.
    "best hiking boots wide feet",
    "weather Lisbon weekend",
    "Dr. Amina Yusuf, +44 20 7946 0958, 221B Baker Street",
    "12.5 kg x 8 = 100 kg",
    "ISBN 978-3-16-148410-0",
    "https://example.org/archive/2019/07/report.pdf?page=12#table-3",
    "!!! ??? ...",
    "a",
    # Other languages and scripts.
    "Der Zug nach Leipzig hat heute zwanzig Minuten Verspätung.",
    "Où puis-je trouver un atelier de réparation de vélos près d'ici ?",
    "El mercado abre a las siete y cierra cuando se acaba el pescado.",
    "今天下午三点开会，请带上上个月的报告。",
    "駅前の本屋は改装のため来週まで休みです。",
    "Завтра обещают сильный ветер и снег с дождём.",
    "مكتبة الحي تغلق أبوابها في السادسة مساءً.",
    "मौसम ठंडा है, इसलिए हम घर पर ही रहेंगे।",
)
