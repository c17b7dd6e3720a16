"""Texts for the precision check: subjects, lengths, registers and scripts that a sentence encoder meets."""

# ruff: noqa: RUF001  (texts in other scripts have other commas)

from __future__ import annotations

__all__ = ["PROBES"]

PROBES: tuple[str, ...] = (
    # Everyday sentences, 5 to 15 words.
    "The kettle is still warm.",
    "She left her umbrella on the train again.",
    "How long does it take to boil an egg at high altitude?",
    "My neighbour's dog barks whenever the mail arrives.",
    "Please remember to water the tomatoes before you leave on Friday.",
    "Where can I renew a passport without an appointment?",
    "The meeting was moved from Tuesday at ten to Thursday at half past two.",
    "He paid for the tickets in cash and kept the change.",
    "I would rather walk than wait twenty minutes for the bus.",
    "Nobody told me that the shop closes at noon on Saturdays!",
    "Two cups of flour, a pinch of salt, and as much water as it takes.",
    "Is there a pharmacy open near the station at this hour?",
    "Grandmother keeps the letters in a tin box under the stairs.",
    "The children built a raft from barrels and rope.",
    "It rained for eleven days, and then the river rose.",
    "This soup needs more pepper and less patience.",
    # Knowledge, 10 to 30 words.
    "Photosynthesis turns carbon dioxide and water into sugar, using light absorbed by chlorophyll.",
    "The Treaty of Westphalia, signed in 1648, ended the Thirty Years' War in the Holy Roman Empire.",
    "Sound travels about four times faster in water than in air, because water is harder to compress.",
    "Penicillin was discovered when a mould spoiled a culture of bacteria left on a bench.",
    "Mount Kilimanjaro is the highest mountain in Africa and stands alone above the savanna.",
    "A prime number has exactly two divisors, so one is not prime and two is the only even prime.",
    "Tectonic plates move a few centimetres a year, about as fast as fingernails grow.",
    "The octopus has three hearts, two of which stop beating while it swims.",
    "In chess a rook moves along ranks and files, and castling is the only move of two pieces at once.",
    "Insulin lets cells take up glucose from the blood; without it the blood sugar rises.",
    "The Rosetta Stone carries the same decree in Greek, Demotic and hieroglyphs.",
    "Interest that is added to the principal earns interest itself, which is why debt grows so fast.",
    "Saffron is picked by hand from crocus flowers, some hundred and fifty thousand of them for a kilogram.",
    "Volcanic ash makes fertile soil, so people return to the slopes soon after an eruption.",
    # Business, law, medicine, news.
    "The invoice of 14 March remains unpaid; kindly settle the amount of 2,340.50 euros within ten days.",
    "Shares of the company fell by seven percent after it announced that its director would step down.",
    "The tenant shall return the premises in the condition received, fair wear and tear excepted.",
    "Patients with a fever above 39 degrees should drink a lot and see a doctor if it lasts three days.",
    "The committee postponed its vote because two of its members had not received the documents in time.",
    "Rescue teams reached the village on foot after landslides had blocked both roads into the valley.",
    "We are looking for a nurse with night-shift experience who speaks Spanish and likes a small team.",
    "The defendant denied all charges, and the court adjourned until the expert witness could be heard.",
    # Technical text and code.
    "Return the index of the first element for which the predicate holds, or -1 if there is none.",
    "Raises ValueError if the buffer is shorter than the header says it must be.",
    "def area(radius): return 3.14159 * radius ** 2",
    "SELECT name, COUNT(*) FROM orders WHERE year = 2024 GROUP BY name ORDER BY 2 DESC LIMIT 10;",
    "A mutex protects the queue; the condition variable wakes one consumer for each item that is pushed.",
    "The function blocks until all workers have finished or the timeout, given in seconds, has expired.",
    "HTTP status 429 means that the client has sent too many requests and should try again later.",
    "Memory-mapped files let several processes share the same pages, and nothing is read before it is used.",
    "To install the driver, unpack the archive, run the setup script as administrator and restart.",
    "git rebase --interactive HEAD~3 lets you reorder, squash or edit the last three commits.",
    "Error: expected ';' before '}' token at line 42, column 7",
    "The gradient of the loss with respect to each weight is computed by applying the chain rule backwards.",
    # Short, odd, or numeric.
    "Yes.",
    "no idea lol",
    "WARNING!!! DO NOT OPEN!!!",
    "3 + 4 = 7; 12 / 5 = 2.4",
    "https://example.org/path?query=value#fragment",
    "naive cafe, facade, cooperation, Zurich, smorgasbord",
    "the the the the the the",
    # Long, 40 to 60 words.
    "When the old lighthouse keeper retired, nobody in the harbour wanted his post, so the council "
    "bought an automatic lamp; on the first foggy night it failed, and the fishermen, who had laughed at "
    "the old man's habits for thirty years, rowed home by the sound of his bell.",
    "The study followed four hundred volunteers for two years and found that those who slept less than "
    "six hours a night were twice as likely to report colds in winter, although the authors point out "
    "that stress, diet and smoking were recorded by the volunteers themselves and may be unreliable.",
    "If you plan to cross the pass in spring, carry chains even when the forecast is mild, start before "
    "dawn so that the snow is still hard, tell someone in the village which hut you mean to reach, and "
    "turn back at noon wherever you are, because avalanches come in the afternoon.",
    "A compiler reads the source text, splits it into tokens, builds a tree from them, checks the types, "
    "lowers the tree to simpler and simpler instructions, and only then asks the hard question of which "
    "values deserve the few registers that the machine has to offer.",
    "Dear Ms Okafor, thank you for your letter of the ninth; we have looked into the delay and found that "
    "your parcel was sent to the depot of a town with a similar name, from where it left this morning, and "
    "we have returned the cost of postage to your account.",
    "Bread begins to stale as soon as it leaves the oven, not because it dries out but because its starch "
    "slowly crystallises again, which is why a stale loaf becomes soft when it is warmed, and why the "
    "refrigerator, where crystals grow fastest, is the worst place for it.",
    # Other scripts.
    "今天天气很好，我们去公园散步吧。",
    "请问去火车站怎么走？",
    "机器学习模型需要大量的数据和计算资源。",
    "他昨天买了两本书，一本关于历史，一本关于音乐。",
    "长城是中国古代的军事防御工程，全长超过两万公里。",
    "这个函数返回列表中最大的元素。",
    "The word 记忆 means memory, and 箭头 means arrow.",
    "Der Zug nach München fährt heute von Gleis sieben ab.",
    "Поезд опаздывает на полчаса.",
)
"""At least 64 texts. The quantiser never sees them: they are held out for the check."""
