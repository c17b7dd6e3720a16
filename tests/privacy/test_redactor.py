from __future__ import annotations

import pytest

from arrowmind.errors import ConfigurationError, InvalidArgumentError
from arrowmind.privacy import Detector, Redactor, Span, known_kinds, standard_kinds

TEXT = "Pay 4111 1111 1111 1111, tell anna@example.com."


@pytest.mark.parametrize(
    ("mode", "expected"), [("mask", "Pay <CARD>, tell <EMAIL>."), ("remove", "Pay , tell .")]
)
def test_what_is_private_is_gone(mode, expected):
    redaction = Redactor(mode=mode).redact(TEXT)
    assert redaction.text == expected
    assert [(span.kind, TEXT[span.start : span.end]) for span in redaction.spans] == [
        ("card", "4111 1111 1111 1111"),
        ("email", "anna@example.com"),
    ]
    assert redaction.counts() == {"card": 1, "email": 1}


def test_only_what_is_asked_for():
    assert Redactor(["email"]).redact(TEXT).text == "Pay 4111 1111 1111 1111, tell <EMAIL>."
    assert Redactor(["none"]).redact(TEXT).text == TEXT
    assert Redactor(["all"]).redact("from 10.0.0.1").text == "from <IPV4>"
    assert Redactor().redact("from 10.0.0.1").text == "from 10.0.0.1"


def test_the_kinds():
    assert set(known_kinds()) - set(standard_kinds()) == {"ipv4", "ipv6", "person"}


def test_a_second_redaction_changes_nothing():
    once = Redactor().redact(TEXT).text
    assert Redactor().redact(once).text == once


class Names:
    def find_names(self, text):
        place = text.find("Anna")
        return [(place, place + 4, 0.9)] if place >= 0 else []


def test_names_by_a_model():
    redactor = Redactor(["person"], names=Names())
    assert redactor.redact("It was Anna.").text == "It was <PERSON>."
    with pytest.raises(ConfigurationError, match="needs a model"):
        Redactor(["person"])


def test_a_detector_of_the_caller():
    badge = Detector(
        "badge", lambda text: [Span(m, m + 5, "badge", 1.0) for m in [text.find("B-123")] if m >= 0]
    )
    assert Redactor(["none"], extra=[badge]).redact("I am B-123.").text == "I am <BADGE>."


def test_what_a_model_finds_outside_the_text_is_refused():
    class Wild:
        def find_names(self, text):
            return [(0, len(text) + 5, 1.0)]

    with pytest.raises(InvalidArgumentError, match="in a text of 3"):
        Redactor(names=Wild()).redact("abc")


def test_confidence_decides():
    text = "123 45 6789"
    assert Redactor(["ssn"]).redact(text).text == "<SSN>"
    assert Redactor(["ssn"], min_confidence=0.7).redact(text).text == text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kinds": ["cards"]}, "did you mean 'card'"),
        ({"kinds": ["none", "card"]}, "by itself"),
        ({"mode": "blur"}, "mask, pseudonym, remove"),
        ({"mode": "pseudonym"}, "needs a vault"),
    ],
)
def test_what_cannot_be_is_refused(arguments, message):
    with pytest.raises(ConfigurationError, match=message):
        Redactor(**arguments)


def test_metadata():
    value = {
        "from": "anna@example.com",
        "bob@example.com": [1, None, True, {"note": "4111 1111 1111 1111"}],
        "n": 2.5,
    }
    assert Redactor().redact_json(value) == {
        "from": "<EMAIL>",
        "<EMAIL>": [1, None, True, {"note": "<CARD>"}],
        "n": 2.5,
    }
    deep = []
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(InvalidArgumentError, match="deeper than 100"):
        Redactor().redact_json(deep)


def test_other_arguments():
    with pytest.raises(InvalidArgumentError, match="give a string"):
        Redactor().redact(b"x")
    with pytest.raises(InvalidArgumentError, match="0 to 1"):
        Redactor(min_confidence=2)
    with pytest.raises(ConfigurationError, match="without the vault"):
        Redactor().reveal("<CARD_1>")
