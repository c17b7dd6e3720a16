"""What is valid is found whole, what fails its check is not, and no text is too much."""

from __future__ import annotations

import itertools
import random
import string
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.privacy.examples import (
    AROUND,
    VALID,
    card_numbers,
    company_codes,
    ibans,
    other_digit,
    resident_ids,
)

from arrowmind.privacy import Redactor, known_kinds
from arrowmind.privacy.detectors.uscc import SIGNS
from arrowmind.privacy.folding import fold
from arrowmind.privacy.registry import detectors_of
from arrowmind.privacy.spans import Span, resolve_overlaps

KINDS = [kind for kind in known_kinds() if kind != "person"]
EVERYTHING = Redactor(KINDS, min_confidence=0)


def found(kind, text):
    """What detectors of one kind find in a text."""
    spans = [span for one in detectors_of([kind]) for span in one.find(fold(text))]
    return [text[span.start : span.end] for span in resolve_overlaps(spans)]


@pytest.mark.parametrize("kind", sorted(VALID))
@given(data=st.data())
@settings(max_examples=60)
def test_what_is_valid_is_found_whole(kind, data):
    value = data.draw(VALID[kind])
    before, after = data.draw(st.sampled_from(AROUND))
    assert found(kind, before + value + after) == [value]


@pytest.mark.parametrize("kind", ["card", "resident_id", "phone"])
@given(data=st.data())
@settings(max_examples=20)
def test_full_width_digits_are_digits(kind, data):
    value = data.draw(VALID[kind])
    wide = value.translate({ord(digit): ord(digit) + 0xFEE0 for digit in string.digits})
    assert found(kind, wide) == [wide]


@given(card_numbers(), st.integers(1, 9))
def test_a_card_with_a_wrong_check_digit_is_none(number, step):
    assert found("card", number[:-1] + other_digit(number[-1], step)) == []


@given(ibans(), st.integers(1, 9))
def test_an_iban_with_wrong_check_digits_is_none(number, step):
    assert found("iban", number[:3] + other_digit(number[3], step) + number[4:]) == []


@given(resident_ids(), st.integers(1, 9))
def test_a_resident_id_with_a_wrong_digit_is_none(number, step):
    assert found("resident_id", number[:16] + other_digit(number[16], step) + number[17]) == []


@given(company_codes(), st.integers(1, 30))
def test_a_company_code_with_a_wrong_check_is_none(code, step):
    assert found("uscc", code[:-1] + SIGNS[(SIGNS.index(code[-1]) + step) % 31]) == []


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("card", "4111111111111112"),  # check digit
        ("card", "0.4111111111111111"),  # decimals
        ("card", "x4111111111111111"),
        ("card", "41111111111111111"),  # no length of the issuer's
        ("card", "4111 1111-1111 1111"),
        ("card", "9999999999999995"),  # no issuer
        ("iban", "DE89 3704 0044 0532 0130 01"),
        ("iban", "GB82WEST12345698765432X"),
        ("iban", "XX82WEST12345698765432"),
        ("email", "joe@localhost"),
        ("email", "joe.@example.com"),
        ("email", "@example.com"),
        ("email", "joe@-example.com"),
        ("phone", "+999 123 456 789"),  # no such country
        ("phone", "12812345678"),  # no mobile prefix
        ("phone", "1381234567"),
        ("phone", "0.13812345678"),
        ("phone", "on 2024-01-15 at 10:30"),
        ("resident_id", "110105194913310028"),  # month 13
        ("resident_id", "990105194912310024"),  # province
        ("ssn", "000-12-3456"),
        ("ssn", "666-12-3456"),
        ("ssn", "123-00-4567"),
        ("ssn", "123-45-0000"),
        ("ssn", "912-34-5678"),
        ("ssn", "123-45 6789"),
        ("ipv4", "256.1.1.1"),
        ("ipv4", "1.2.3.4.5"),
        ("ipv6", "12:30:45"),
        ("secret", "550e8400-e29b-41d4-a716-446655440000"),
        ("secret", "3f786850e387550fdab836ed7e6dc881de23001b"),  # what names a commit
        ("secret", "getUserById2FromDatabaseTableWithLongName"),
        ("secret", "token: str = None"),
        ("secret", "password=${PASSWORD}"),
        ("secret", "password = getpass.getpass()"),
        ("secret", "pwd=fallback_getpass(prompt)"),
        ("secret", "https://a.com/img/F331B563-AB73-430A-A6DF-3C5E0F91A4D8/IMG2000/Sunset-Lake-Park"),
        ("secret", "The password is very important."),
        ("secret", "https://example.com:8080/a@b"),
    ],
)
def test_near_misses(kind, text):
    assert found(kind, text) == []


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("card", "12 4111 1111 1111 1111 2025", ["4111 1111 1111 1111"]),
        ("card", "\u5361\u53f74111111111111111\u8c22\u8c22", ["4111111111111111"]),
        ("iban", "to DE89 3704 0044 0532 0130 00 EUR", ["DE89 3704 0044 0532 0130 00"]),
        ("uscc", "91350100M000100Y43", ["91350100M000100Y43"]),  # the example of the standard
        ("resident_id", "11010519491231002x", ["11010519491231002x"]),
        ("email", "\u90ae\u7bb1zhang@example.com\u8c22\u8c22", ["zhang@example.com"]),
        ("email", "<Joe.O'Neil+x@mail.example.co.uk>.", ["Joe.O'Neil+x@mail.example.co.uk"]),
        ("email", "m\u00fcller@b\u00fccher.de", ["m\u00fcller@b\u00fccher.de"]),
        ("phone", "+44 (0)20 7946 0958.", ["+44 (0)20 7946 0958"]),
        ("phone", "(415) 555-2671 or 415.555.2671", ["(415) 555-2671", "415.555.2671"]),
        ("phone", "010-62781234", ["010-62781234"]),
        ("phone", "0049 30 123456", ["0049 30 123456"]),
        ("phone", "call me on 020 7946 0958 then", ["020 7946 0958"]),
        ("ipv6", "from fe80::1 and ::ffff:10.0.0.1.", ["fe80::1", "::ffff:10.0.0.1"]),
        ("secret", "the password is hunter2!", ["hunter2"]),
        ("secret", "password=correcthorse", ["correcthorse"]),
        ("secret", 'api_key: "abcd efgh"', ["abcd efgh"]),
        ("secret", "\u5bc6\u7801\u662fabc12345\u3002", ["abc12345"]),
        ("secret", "postgres://bob:s3cret@host/x", ["s3cret"]),
        ("secret", "Authorization: Bearer abc.def-ghi_123", ["abc.def-ghi_123"]),
    ],
)
def test_in_sentences(kind, text, expected):
    assert found(kind, text) == expected


FORMS = {
    "AKIA": (16, string.ascii_uppercase),
    "ghp_": (36, string.ascii_letters),
    "github_pat_": (40, string.ascii_letters),
    "glpat-": (20, string.ascii_letters),
    "sk-ant-": (40, string.ascii_letters),
    "xoxb-": (30, string.digits),
    "hf_": (34, string.ascii_letters),
    "AIza": (35, string.ascii_letters),
    "sk_live_": (24, string.digits),
    "LTAI": (20, string.ascii_letters),
}


@pytest.mark.parametrize("prefix", FORMS)
@given(data=st.data())
@settings(max_examples=10)
def test_keys_of_services_are_known_by_their_prefix(prefix, data):
    count, signs = FORMS[prefix]
    key = prefix + data.draw(st.text(signs, min_size=count, max_size=count))
    assert found("secret", f"use {key}, please") == [key]
    assert found("secret", f"use {key[:-9]}, please") in ([], [key[:-9]])


def test_a_private_key_is_found_with_and_without_its_end():
    begin, end = "-----BEGIN OPENSSH PRIVATE KEY-----", "-----END OPENSSH PRIVATE KEY-----"
    whole = f"{begin}\nb3BlbnNzaC1rZXk=\n{end}"
    assert found("secret", f"a\n{whole}\nb") == [whole]
    lines = "\n".join(["b3BlbnNzaC1rZXk" * 4, "b3BlbnNzaC1rZXk" * 4, "b3Blbg=="])
    assert found("secret", f"a {begin}\n{lines}\nand so on") == [f"{begin}\n{lines}"]
    assert found("secret", f"It begins with {begin} and goes on.") == [begin]


def test_a_web_token_is_found():
    token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
    assert found("secret", f"got {token}.") == [token]


def test_random_tokens_are_secrets_and_names_are_none(seed):
    rng = random.Random(seed)
    tokens = ["".join(rng.choices(string.ascii_letters + string.digits, k=32)) for _ in range(500)]
    assert sum(bool(found("secret", token)) for token in tokens) >= 475
    words = ["Get", "user", "Table", "2", "from", "Database", "With", "Name", "64"]
    names = ["".join(rng.choices(words, k=8)) for _ in range(500)]
    assert sum(bool(found("secret", name)) for name in names) <= 10


@given(st.text(st.characters(exclude_categories=()), max_size=300))
@example("\ud800 4111111111111111 \udfff")
@example("\0" * 50)
def test_any_text_is_read(text):
    spans = EVERYTHING.find(text)
    assert all(0 <= a.start < a.end <= len(text) for a in spans)
    assert all(a.end <= b.start for a, b in itertools.pairwise(spans))


@given(st.text(list("0123456789 .-+()@:=eyJABabZ_/\u5bc6\u7801\uff11\n\"'"), max_size=400))
def test_any_text_of_the_signs_that_matter_is_read(text):
    assert len(fold(text)) == len(text)
    EVERYTHING.redact(text)


ADVERSE = [
    "1",
    "1 ",
    "4111 ",
    "a@",
    "a@a.",
    "a@a.aa ",
    "eyJ",
    "eyJaaaaaaaa.",
    "-----BEGIN RSA PRIVATE KEY-----",
]
ADVERSE += ["-----END PRIVATE KEY-----", "password=", "a=", "0:", "::1 ", "1.1.1.", "ghp_", "a://a:", "DE89 "]
ADVERSE += [
    "+1 (",
    "(415) ",
    "tel 1 ",
    "\uff11",
    "\u5bc6\u7801",
    "Aa0",
    "d is ",
    "\"'",
    "00 1",
    "authorization:",
]


@pytest.mark.parametrize("piece", ADVERSE)
def test_time_is_linear(piece):
    """Four times the text takes no more than about four times as long; a power of it would take 16 times."""

    def seconds(size):
        text = (piece * (size // len(piece) + 1))[:size]
        started = time.thread_time()  # threads that other tests left go on
        EVERYTHING.find(text)
        return time.thread_time() - started

    small = min(seconds(20_000) for _ in range(2))
    assert min(seconds(80_000) for _ in range(2)) < 9 * small + 0.1


@pytest.mark.slow
@pytest.mark.parametrize("piece", ["4111 ", "::1 ", "tel 123456 "])  # the slowest
def test_ten_megabytes_take_seconds(piece):
    size = 10_000_000
    started = time.process_time()
    EVERYTHING.find((piece * (size // len(piece) + 1))[:size])
    assert time.process_time() - started < 60  # measured: 17 at most


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 10), st.sampled_from("abc"), st.floats(0, 1))))
def test_overlaps_leave_nothing_uncovered(drawn):
    spans = [Span(start, start + length, kind, sure) for start, length, kind, sure in drawn]
    resolved = resolve_overlaps(spans)
    covered = {place for span in spans for place in range(span.start, span.end)}
    assert covered == {place for span in resolved for place in range(span.start, span.end)}
    assert all(a.end <= b.start for a, b in itertools.pairwise(resolved))
    for span in spans:
        (cover,) = [one for one in resolved if one.start <= span.start and span.end <= one.end]
        assert cover.confidence >= span.confidence
