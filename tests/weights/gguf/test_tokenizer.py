"""tokenizer.json from GGUF metadata: the same ids as the tokenizer that the metadata describe."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.weights.gguf.conftest import TOKENIZER
from tokenizers import Tokenizer

from arrowmind import _native
from arrowmind.errors import WeightError
from arrowmind.weights.gguf.metadata import GgufMetadata
from arrowmind.weights.gguf.pieces import PRE_TOKENIZERS
from arrowmind.weights.gguf.tokenizer import read_tokenizer

TEXTS = [
    "",
    " ",
    "Hello, world!",
    "  two  blanks  ",
    "It's 12345 o'clock\n\n\tnow",
    "grüße 日本語 \U0001f600",
    "<s> is a token </s>",
    "a" * 300,
]
BYTE_LEVEL = {
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.pre": "gpt-2",
    "tokenizer.ggml.tokens": ["a", "b", "ab", "Ġ", "Ġa", "Ġab", "<|end|>", "1", "2"],
    "tokenizer.ggml.token_type": np.array([1, 1, 1, 1, 1, 1, 3, 1, 1], np.int32),
    "tokenizer.ggml.merges": ["Ġ a", "Ġa b", "a b"],
    "tokenizer.ggml.bos_token_id": 6,
    "tokenizer.ggml.eos_token_id": 6,
}


def made(values, **more):
    known = {key: np.array(value) if _is_numbers(value) else value for key, value in values.items()}
    return Tokenizer.from_buffer(read_tokenizer(GgufMetadata(known | more, "a.gguf")))


def _is_numbers(value):
    return isinstance(value, list) and bool(value) and isinstance(value[0], int | float)


def metadata_of(shared_data, name):
    path = shared_data / name
    if not path.exists():
        pytest.skip(f"no {path}")
    return _native.GgufFile.open(bytes(path)).metadata()


def sentence_piece(values, text):
    """SentencePiece's own way: join the neighbours whose piece scores highest, the leftmost of equals."""
    tokens, scores = values["tokenizer.ggml.tokens"], values["tokenizer.ggml.scores"].tolist()
    kinds = values["tokenizer.ggml.token_type"].tolist()
    ids = {token: i for i, token in enumerate(tokens) if kinds[i] == 1}
    parts = list(("\u2581" + text).replace(" ", "\u2581")) if text else []
    while True:
        pairs = [
            (-scores[ids[one + other]], at)
            for at, (one, other) in enumerate(zip(parts, parts[1:]))  # noqa: B905, RUF007
            if one + other in ids
        ]
        if not pairs:
            break
        at = min(pairs)[1]
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    found = []
    for part in parts:
        found += [ids[part]] if part in ids else [tokens.index(f"<0x{b:02X}>") for b in part.encode()]
    return [1, *found]


def test_sentence_piece(shared_data):
    values = metadata_of(shared_data, "stories260K/stories260K.gguf")
    tokenizer = made(values)
    for text in [text for text in TEXTS if "<s>" not in text]:
        encoding = tokenizer.encode(text)
        assert encoding.ids == sentence_piece(values, text)
        assert tokenizer.decode(encoding.ids) == text
    specials = tokenizer.encode("<s>x</s>", add_special_tokens=False).ids
    assert specials[0] == 1
    assert specials[-1] == 2

    @given(st.text(max_size=40).filter(lambda text: not {"<", "\u2581", "\0"} & set(text)))
    @settings(max_examples=200)
    def any_text(text):
        assert tokenizer.encode(text).ids == sentence_piece(values, text)

    any_text()


def test_bytes_of_gpt_2(shared_data):
    tokenizer = made(metadata_of(shared_data, "gguf-vocab/ggml-vocab-gpt-2.gguf"))
    known = {
        "Hello world": [15496, 995],
        "Hello, y'all! How are you \U0001f601 ?": [
            *(15496, 11, 331, 6, 439, 0, 1374, 389, 345, 30325, 223, 5633),
        ],
        "<|endoftext|>": [50256],
    }
    for text, ids in known.items():
        assert tokenizer.encode(text).ids == ids
    for text in TEXTS:
        assert tokenizer.decode(tokenizer.encode(text).ids) == text


def phantom(token):
    """How GGUF writes a piece of WordPiece: starts of words marked instead of their continuations."""
    if token.startswith("[") and token.endswith("]"):
        return token
    return token[2:] if token.startswith("##") else "\u2581" + token


def test_word_pieces_of_a_real_encoder(minilm_source):
    original = Tokenizer.from_file(str(minilm_source / "tokenizer.json"))
    original.no_padding()
    original.no_truncation()
    vocabulary = sorted(original.get_vocab(), key=original.get_vocab().__getitem__)
    special = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}
    values = {
        "tokenizer.ggml.model": "bert",
        "tokenizer.ggml.tokens": [phantom(token) for token in vocabulary],
        "tokenizer.ggml.token_type": np.array([3 if token in special else 1 for token in vocabulary]),
        "tokenizer.ggml.cls_token_id": 101,
        "tokenizer.ggml.seperator_token_id": 102,
        "tokenizer.ggml.unknown_token_id": 100,
    }
    tokenizer = made(values)
    assert json.loads(tokenizer.to_str())["normalizer"]["lowercase"] is True
    for text in [*TEXTS, "The quick brown fox, unaffable-ly!", "Ünïcödé [MASK] ##ing"]:
        assert tokenizer.encode(text).ids == original.encode(text).ids
    without = {key: value for key, value in values.items() if not key.endswith("_id")}
    assert made(without).encode("a fox").ids == original.encode("a fox").ids


def test_a_cased_vocabulary_keeps_its_case():
    tokens = ["[UNK]", "[CLS]", "[SEP]", "\u2581Fox", "\u2581fox", "es"]
    values = {"tokenizer.ggml.model": "bert", "tokenizer.ggml.tokens": tokens}
    assert made(values).encode("Foxes fox").ids == [1, 3, 5, 4, 2]


@pytest.mark.parametrize("name", PRE_TOKENIZERS)
def test_every_way_to_cut_loads(name):
    tokenizer = made(BYTE_LEVEL, **{"tokenizer.ggml.pre": name})
    first = [6] if PRE_TOKENIZERS[name].adds_bos else []
    assert tokenizer.encode("ab ab<|end|>").ids == [*first, 2, 5, 6]


def test_tokens_around_a_text():
    flags = {"tokenizer.ggml.add_bos_token": True, "tokenizer.ggml.add_eos_token": True}
    assert made(BYTE_LEVEL, **flags).encode("a").ids == [6, 0, 6]
    assert made(TOKENIZER).encode("ab").ids == [1, 9]
    assert made(TOKENIZER, **{"tokenizer.ggml.add_bos_token": False}).encode("ab").ids == [9]
    assert made(TOKENIZER, **{"tokenizer.ggml.add_space_prefix": False}).encode("ab").ids == [1, 7]


def test_equal_tokens_keep_the_first_id():
    tokens = ["a", "b", "ab", "Ġ", "Ġa", "Ġab", "<|end|>", "a", "a"]
    assert made(BYTE_LEVEL, **{"tokenizer.ggml.tokens": tokens}).encode("a").ids == [0]


def test_pieces_that_can_be_joined_in_too_many_ways():
    tokens = [letter * count for letter in map(chr, range(0x4E00, 0x4E30)) for count in range(1, 129)]
    values = TOKENIZER | {
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.scores": [0.0] * len(tokens),
        "tokenizer.ggml.token_type": [1] * len(tokens),
    }
    with pytest.raises(WeightError, match="more ways than those of any real one"):
        made(values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "tokenizer.ggml.model is missing"),
        (BYTE_LEVEL | {"tokenizer.ggml.model": "rwkv"}, "'rwkv'; gpt2, llama, bert can be converted"),
        (BYTE_LEVEL | {"tokenizer.ggml.pre": "viking"}, "'viking', of which we do not know"),
        (BYTE_LEVEL | {"tokenizer.ggml.tokens": []}, "has no tokens"),
        (BYTE_LEVEL | {"tokenizer.ggml.tokens": np.arange(3)}, "a list of texts is needed"),
        (BYTE_LEVEL | {"tokenizer.ggml.tokens": ["a", b"\xff"]}, "is no text in UTF-8"),
        (BYTE_LEVEL | {"tokenizer.ggml.merges": ["ab"]}, "joins no two tokens"),
        (BYTE_LEVEL | {"tokenizer.ggml.merges": ["a c"]}, "joins no two tokens"),
        (BYTE_LEVEL | {"tokenizer.ggml.merges": "a b"}, "a list of texts is needed"),
        (BYTE_LEVEL | {"tokenizer.ggml.token_type": np.arange(2)}, "one for each token"),
        (BYTE_LEVEL | {"tokenizer.ggml.bos_token_id": 9}, "a token id below 9"),
        (BYTE_LEVEL | {"tokenizer.ggml.add_bos_token": 1}, "bool is needed"),
        (TOKENIZER | {"tokenizer.ggml.scores": None}, "has no tokenizer.ggml.scores"),
    ],
)
def test_metadata_that_describe_no_tokenizer(values, message):
    with pytest.raises(WeightError, match=message) as caught:
        made(values)
    assert "a.gguf" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "pieces"),
    [
        ("deepseek-llm", "Key 1234!\nyes", ["Key", "Ġ", "1", "2", "3", "4", "!", "Ċ", "yes"]),
        ("deepseek-coder", "f(x) 12\n", ["f", "(", "x", ")", "Ġ", "1", "2", "Ċ"]),
        ("deepseek-v3", "Key 12345, it's", ["Key", "Ġ", "123", "45", ",", "Ġit", "'s"]),
    ],
)
def test_words_of_deepseek(name, text, pieces):
    steps = {"type": "Sequence", "pretokenizers": PRE_TOKENIZERS[name].steps()}
    document = {
        "version": "1.0",
        "added_tokens": [],
        "pre_tokenizer": steps,
        "model": {"type": "BPE", "vocab": {"a": 0}, "merges": []},
    }
    found = Tokenizer.from_str(json.dumps(document)).pre_tokenizer.pre_tokenize_str(text)
    assert [piece for piece, _ in found] == pieces
