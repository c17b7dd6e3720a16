"""Private things that are valid by construction, and the same with a wrong check digit."""

from __future__ import annotations

import datetime

from hypothesis import strategies as st

from arrowmind.privacy.detectors import card, iban, resident_id, uscc

PREFIXES = {
    "4": (13, 16, 19),
    "51": (16,),
    "2221": (16,),
    "37": (15,),
    "36": (14,),
    "6011": (16,),
    "3530": (16,),
}
PREFIXES |= {"62": (16, 17, 18, 19), "2200": (16,), "5038": (12, 13, 19)}
DIGITS = "0123456789"


def digits(count):
    return st.text(DIGITS, min_size=count, max_size=count)


def in_groups(text, sizes, separator):
    parts = []
    for size in sizes:
        parts.append(text[:size])
        text = text[size:]
    return separator.join(parts)


def other_digit(digit, step=1):
    return DIGITS[(DIGITS.index(digit) + step) % 10]


@st.composite
def card_numbers(draw):
    prefix = draw(st.sampled_from(sorted(PREFIXES)))
    length = draw(st.sampled_from(PREFIXES[prefix]))
    number = prefix + draw(digits(length - 1 - len(prefix)))
    return next(number + digit for digit in DIGITS if card.has_check_digit(number + digit))


@st.composite
def written_cards(draw):
    number = draw(card_numbers())
    shapes = {15: (4, 6, 5), 14: (4, 6, 4), 13: (4, 3, 3, 3)}
    separator = draw(st.sampled_from(["", " ", "-", "."]))
    sizes = shapes.get(len(number), [4] * (len(number) // 4) + ([len(number) % 4] if len(number) % 4 else []))
    return in_groups(number, sizes, separator) if separator else number


@st.composite
def ibans(draw):
    country = draw(st.sampled_from(sorted(iban.LENGTHS)))
    account = draw(st.text("0123456789ABCXYZ", min_size=(n := iban.LENGTHS[country] - 4), max_size=n))
    number = country + iban.check_digits(country, account) + account
    number = number.lower() if draw(st.booleans()) else number
    separator = draw(st.sampled_from(["", " ", "-"]))
    return separator.join(number[i : i + 4] for i in range(0, len(number), 4))


@st.composite
def resident_ids(draw):
    region = draw(st.sampled_from(["11", "31", "44", "65", "82"])) + draw(digits(4))
    born = draw(st.dates(datetime.date(1900, 1, 1), datetime.date(2026, 1, 1)))
    number = region + born.strftime("%Y%m%d") + draw(digits(3))
    return number + resident_id.check_digit(number)


@st.composite
def company_codes(draw):
    code = draw(st.sampled_from(["91", "92", "11", "Y1", "53"])) + "3301" + draw(digits(2))
    code += draw(st.text(uscc.SIGNS, min_size=9, max_size=9))
    return code + uscc.check_character(code)


@st.composite
def emails(draw):
    name = draw(st.from_regex(r"\A[A-Za-z0-9]([A-Za-z0-9._+-]{0,30}[A-Za-z0-9_])?\Z"))
    labels = draw(st.lists(st.from_regex(r"\A[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?\Z"), min_size=1, max_size=3))
    return f"{name}@{'.'.join(labels)}.{draw(st.sampled_from(['com', 'de', 'cn', 'museum', 'co.uk']))}"


@st.composite
def mobiles(draw):
    parts = "1" + draw(st.sampled_from("3456789")) + draw(digits(1)), draw(digits(4)), draw(digits(4))
    separator = draw(st.sampled_from(["", " ", "-"]))
    return draw(st.sampled_from(["", "+86 ", "+86", "86 "])) + separator.join(parts)


@st.composite
def internationals(draw):
    code = draw(st.sampled_from(["1", "44", "49", "86", "353", "998"]))
    rest = draw(st.lists(digits(3), min_size=2, max_size=4))
    return f"+{code} {draw(st.sampled_from([' ', '-', '.', '/'])).join(rest)}"


@st.composite
def ssns(draw):
    area = draw(st.integers(1, 899).filter(lambda number: number != 666))
    separator = draw(st.sampled_from("- "))
    return f"{area:03}{separator}{draw(st.integers(1, 99)):02}{separator}{draw(st.integers(1, 9999)):04}"


VALID = {
    "card": written_cards(),
    "iban": ibans(),
    "resident_id": resident_ids(),
    "uscc": company_codes(),
    "email": emails(),
    "phone": st.one_of(mobiles(), internationals()),
    "ssn": ssns(),
    "ipv4": st.ip_addresses(v=4).map(str),
    "ipv6": st.ip_addresses(v=6).map(str).filter(lambda text: text != "::"),  # that is C++, too
}
AROUND = [
    ("", ""),
    ("see ", " there"),
    ("(", ")"),
    ("\u53f7\u7801\uff1a", "\u3002"),
    ("1. ", ","),
    ("\n", "\n"),
]
