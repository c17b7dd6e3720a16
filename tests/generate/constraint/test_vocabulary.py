"""Constraints by schema, grammar and expression: masks of an oracle, texts that satisfy, what is refused."""

# ruff: noqa: E501

from __future__ import annotations

import json
import re
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reference.generating_tokenizers import SPECIAL, byte_level, sentence_piece
from tests.reference.toy_decoder import ToyDecoder

from arrowmind.errors import InvalidArgumentError
from arrowmind.generate import ConstraintVocabulary, SamplingParameters, TokenPieces, TokenSequence, decode

pytest.importorskip("llguidance", reason="constraints need the extra grammar")

TOKENIZER = byte_level()
PIECES = TokenPieces(TOKENIZER)
VOCABULARY = TOKENIZER.get_vocab_size() + 9  # rows without a token, as models have them
EOS = TOKENIZER.token_to_id(SPECIAL)
TOKENS = ConstraintVocabulary(PIECES, VOCABULARY, [EOS])


def ids(text):
    return TOKENIZER.encode(text).ids


def accepts(constraint, text):
    """Whether the constraint lets the text through, token by token, and end there."""
    for token in ids(text):
        if not constraint.mask()[token]:
            return False
        constraint.advance(token)
    return bool(constraint.mask()[EOS])


PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 5},
        "age": {"type": "integer", "minimum": 0, "maximum": 150},
        "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "maxItems": 2},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("text", "is_valid"),
    [
        ('{"name":"Ann","age":7}', True),
        ('{"name": "\u00e9\u65e5", "age": 150, "tags": ["a", "b"]}', True),
        ('{\n  "name": "Ann",\n  "age": 7\n}', True),
        ('{"name":"Ann"}', False),
        ('{"name":"Annabel","age":7}', False),
        ('{"name":"Ann","age":151}', False),
        ('{"name":"Ann","age":7,"tags":["c"]}', False),
        ('{"name":"Ann","age":7,"more":1}', False),
        ('{"name":  "Ann","age":7}', False),
        ("[]", False),
    ],
)
def test_a_schema_lets_through_what_satisfies_it(text, is_valid):
    assert accepts(TOKENS.json_schema(PERSON), text) is is_valid


EXPRESSIONS = ["[ab]+", "(the|cat)( the)*", "\u00e9\u00e9\u65e5|\u00e9x", "a{2,4}b?", "<tool call>"]
PREFIXES = {
    # Prefixes of matches, for an oracle that tries every token.
    "[ab]+": "[ab]*",
    "(the|cat)( the)*": "(t|th|the|c|ca|cat)?|(the|cat)( the)*( (t|th)?)?",
    "a{2,4}b?": "a{0,4}|a{2,4}b",
}


@given(st.sampled_from(sorted(PREFIXES)), st.data())
def test_masks_are_those_of_trying_every_token(pattern, data):
    constraint, text = TOKENS.regex(pattern), b""
    for _ in range(data.draw(st.integers(0, 5))):
        allowed = constraint.mask()
        expected = np.zeros(VOCABULARY, np.bool_)
        for token in range(VOCABULARY):
            piece = PIECES.of(token)
            if token not in PIECES.special and piece:
                expected[token] = re.fullmatch(PREFIXES[pattern].encode(), text + piece) is not None
        expected[EOS] = re.fullmatch(pattern.encode(), text) is not None
        starts = {PIECES.of(token)[:1] for token in np.flatnonzero(expected)}
        if len(starts) == 1:  # forced: a token of the tokenizer's own spelling
            assert allowed.any()
            assert not (allowed & ~expected).any()
        else:
            np.testing.assert_array_equal(allowed, expected)
        choices = np.flatnonzero(allowed & (np.arange(VOCABULARY) != EOS))
        if not len(choices):
            break
        token = int(data.draw(st.sampled_from(choices.tolist())))
        constraint.advance(token)
        text += PIECES.of(token)


@pytest.mark.parametrize("pattern", EXPRESSIONS)
@settings(max_examples=10)
@given(st.integers(0, 1000))
def test_a_model_that_knows_nothing_matches_the_expression(pattern, seed):
    parameters = SamplingParameters(temperature=2.0, seed=seed, max_tokens=40)
    sequence = TokenSequence(
        [0], parameters, VOCABULARY, pieces=PIECES, eos=[EOS], constraint=TOKENS.regex(pattern)
    )
    list(decode(sequence, ToyDecoder(VOCABULARY, seed=seed)))
    result = sequence.result()
    if result.finish_reason != "length":
        assert re.fullmatch(pattern, result.text)


@settings(max_examples=10)
@given(st.integers(0, 1000))
def test_a_model_that_knows_nothing_writes_json(seed):
    parameters = SamplingParameters(temperature=2.0, seed=seed, max_tokens=300)
    sequence = TokenSequence(
        [0], parameters, VOCABULARY, pieces=PIECES, eos=[EOS], constraint=TOKENS.json_schema(PERSON)
    )
    list(decode(sequence, ToyDecoder(VOCABULARY, seed=seed)))
    result = sequence.result()
    assert result.finish_reason in ("eos", "constraint")
    value = json.loads(result.text)
    assert len(value["name"]) <= 5
    assert 0 <= value["age"] <= 150


def test_grammars_of_both_kinds():
    counting = 'root ::= item+\nitem ::= "a" ("b" | "c"){2}'
    assert accepts(TOKENS.grammar(counting), "abcacb")
    assert not accepts(TOKENS.grammar(counting), "abcac")
    lark = 'start: "x" NUMBER\nNUMBER: /[0-9]+/'
    assert accepts(TOKENS.grammar(lark), "x42")
    assert not accepts(TOKENS.grammar(lark), "x")


def test_is_done_when_nothing_may_follow():
    constraint = TOKENS.regex("ab")
    for token in ids("ab"):
        assert not constraint.is_done
        constraint.advance(token)
    assert constraint.is_done
    assert np.flatnonzero(constraint.mask()).tolist() == [EOS]


def test_a_copy_goes_its_own_way():
    first = TOKENS.regex("a+")
    second = first.copy()
    first.advance(ids("a")[0])
    assert first.mask()[EOS]
    assert not second.mask()[EOS]


def test_byte_tokens_make_up_characters():
    tokenizer = sentence_piece()
    pieces = TokenPieces(tokenizer)
    tokens = ConstraintVocabulary(pieces, tokenizer.get_vocab_size(), [2])
    constraint = tokens.regex("\U0001f600")
    for byte in "\U0001f600".encode():
        token = tokenizer.token_to_id(f"<0x{byte:02X}>")
        assert np.flatnonzero(constraint.mask()).tolist() == [token]
        constraint.advance(token)
    assert constraint.is_done


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"type": "array", "contains": {"type": "string"}}, "contains"),
        ({"not": {"type": "string"}}, "not"),
        ({"type": "array", "uniqueItems": True}, "uniqueItems"),
        ({"if": {}, "then": {}}, "if"),
        ({"type": "object", "propertyNames": {"pattern": "a"}}, "propertyNames"),
        ({"type": "array", "contains": {}, "x-guidance": {"lenient": True}}, "contains"),
        ({"type": "string", "maxLenght": 3}, "'maxLenght' at #, which is no keyword"),
        ({"properties": {"a": {"typ": "string"}}}, "'typ' at #/properties/a"),
        ({"items": {"anyOf": [{}, {"nullable": True}]}}, "'nullable' at #/items/anyOf/1"),
        ({"type": "nothing"}, "nothing"),
        ({"type": "string", "format": "weird"}, "weird"),
        ({"type": "string", "pattern": "(?=a)b"}, "look-around"),
        ({"$ref": "https://example.org/schema"}, "example.org"),
        ({"$ref": "#/$defs/none"}, "none"),
        ("{", "no JSON"),
        ("3", "use an object"),
        ({"type": object()}, "no JSON"),
        ({"const": "x" * (1 << 20)}, "use text of up to"),
    ],
)
def test_schemas_that_cannot_be_enforced(schema, message):
    with pytest.raises(InvalidArgumentError, match=re.escape(message)):
        TOKENS.json_schema(schema)


@pytest.mark.parametrize(
    ("make", "text", "message"),
    [
        (TOKENS.regex, "(", "unclosed group"),
        (TOKENS.regex, "(?=a)", "look-around"),
        (TOKENS.regex, "", "use text"),
        (TOKENS.regex, None, "NoneType"),
        (TOKENS.regex, "(" * 5000 + ")" * 5000, "nests more than"),
        (TOKENS.grammar, 'root ::= "a" b', "Rule 'b' not found"),
        (TOKENS.grammar, "root ::= (", "Expected"),
        (TOKENS.grammar, "nothing of the kind", "Expected"),
        (TOKENS.grammar, "start: other", "other"),
        (TOKENS.grammar, "root ::= " + "(" * 5000 + '"a"' + ")" * 5000, "nests more than"),
    ],
)
def test_texts_that_are_no_grammar(make, text, message):
    with pytest.raises(InvalidArgumentError, match=message):
        make(text)


def test_a_token_that_was_not_allowed():
    constraint = TOKENS.regex("a+")
    with pytest.raises(InvalidArgumentError, match="cannot go on"):
        constraint.advance(ids("b")[0])


def test_needs_a_token_that_ends():
    with pytest.raises(InvalidArgumentError, match="eos is empty"):
        ConstraintVocabulary(PIECES, VOCABULARY, [])
    with pytest.raises(InvalidArgumentError, match="eos"):
        ConstraintVocabulary(PIECES, VOCABULARY, [VOCABULARY])


def test_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "llguidance", None)
    with pytest.raises(InvalidArgumentError, match=r"pip install 'arrowmind\[grammar\]'"):
        ConstraintVocabulary(PIECES, VOCABULARY, [EOS])


HOSTILE = """
import sys
from arrowmind.errors import InvalidArgumentError
from arrowmind.generate import *
from tests.reference.generating_tokenizers import byte_level
tokenizer = byte_level()
tokens = ConstraintVocabulary(TokenPieces(tokenizer), 300, [1])
deep = {"type": "string"}
for _ in range(45):
    deep = {"type": "array", "items": {"anyOf": [deep, deep]}}
    if len(str(deep)) > 400_000:
        break
for make, text in [
    (tokens.json_schema, deep),
    (tokens.json_schema, {"allOf": [{"$ref": "#"}]}),
    (tokens.json_schema, {"$ref": "#"}),
    (tokens.json_schema, {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}),
    (tokens.json_schema, {"enum": list(range(50_000))}),
    (tokens.regex, "((((a{99}){99}){99}){99}){99}"),
    (tokens.regex, "(a|aa)*" * 200),
    (tokens.regex, "a?" * 3000 + "a" * 3000),
    (tokens.regex, "\\\\w{1000}" * 20),
    (tokens.grammar, 'root ::= root root | "a" |'),
    (tokens.grammar, 'root ::= root'),
    (tokens.grammar, "root ::= " + "!" * 5000),
    (tokens.grammar, "start: " + "~" * 5000 + "a"),
    (tokens.grammar, "\\n".join(f"r{i} ::= r{i+1} r{i+1}" for i in range(300)) + '\\nr300 ::= "a"\\nroot ::= r0'),
]:
    try:
        constraint = make(text)
        for _ in range(3):
            constraint.mask()
    except InvalidArgumentError as error:
        print(str(error)[:100])
print("alive")
"""


def test_hostile_constraints_leave_the_process_alive():
    found = subprocess.run(
        [sys.executable, "-c", HOSTILE], check=False, capture_output=True, text=True, timeout=600
    )
    assert found.stdout.endswith("alive\n"), (found.returncode, found.stdout[-500:], found.stderr[-2000:])
