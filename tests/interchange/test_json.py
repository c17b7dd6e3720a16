"""The strict JSON reader: what it takes is what RFC 8259 allows, compared with Python's own."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrowmind import _native
from arrowmind.errors import IntegrityError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
PIECES = st.lists(
    st.sampled_from(
        [*'{}[],:"\\/ \n-+.eEu019aftn', "true", "null", "\\u00e9", "\\ud83d", "\\ude00", '"a"', "1e9", "0"]
    ),
    max_size=12,
)
EXAMPLES = [
    "01",
    "-",
    "1.",
    ".5",
    "1e",
    "-0",
    "1e999",
    "[1,]",
    "[,1]",
    '{"a":1,}',
    '{"a"}',
    "{a:1}",
    "",
    "[1 2]",
    '"\\ud83d\\ude00"',
    '"\\ud83d"',
    '"\\ude00\\ud83d"',
    '"\\u00g0"',
    "truex",
    "1 1",
]


def is_taken(text: bytes) -> bool:
    try:
        _native.check_json(text)
    except IntegrityError:
        return False
    return True


def is_json(text: bytes) -> bool:
    """As Python sees it, without its extensions: NaN, lone surrogates, bytes that are not UTF-8."""

    def refuse(word: str) -> None:
        raise ValueError(word)

    try:
        value = json.loads(text.decode("utf-8"), parse_constant=refuse)
        json.dumps(value, ensure_ascii=False, default=str).encode("utf-8")
    except (ValueError, UnicodeError):
        return False
    return True


@given(VALUES, st.booleans(), st.sampled_from([None, 1, "\t"]))
def test_every_value_is_taken(value, ascii_only, indent):
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    if is_json(text.encode("utf-8", "surrogatepass")):
        _native.check_json(text.encode())


@given(PIECES.map("".join))
def test_the_same_texts_are_refused(text):
    assert is_taken(text.encode()) == is_json(text.encode())


@pytest.mark.parametrize("text", EXAMPLES)
def test_the_same_borders(text):
    assert is_taken(text.encode()) == is_json(text.encode())


@pytest.mark.parametrize(
    "text",
    [
        b'"\xff"',
        b'"\xc0\x80"',
        b'"\xed\xa0\x80"',
        b'"a\x00b"',
        b'"\x1f"',
        b"\0",
        b"1\0",
        b"[1\0]",
        b'"a',
        b'"\\',
    ],
)
def test_bytes_that_are_no_text(text):
    assert not is_taken(text)


def test_depth_is_limited():
    assert is_taken(b"[" * 32 + b"]" * 32)
    for opening in (b"[", b'{"a":', b'[{"a":'):
        with pytest.raises(IntegrityError, match="deeper than 32"):
            _native.check_json(opening * 200_000)


def test_long_numbers_and_texts_are_no_trouble():
    assert is_taken(b"1" * 1_000_000)
    assert is_taken(b'"' + b"\\u0041" * 100_000 + b'"')
    assert is_taken(b"-1e999")
