"""Metadata of a GGUF file -> tokenizer.json of the `tokenizers` library."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from arrowmind.errors import WeightError
from arrowmind.weights.gguf.pieces import PRE_TOKENIZERS

if TYPE_CHECKING:
    from arrowmind.weights.gguf.metadata import GgufMetadata

__all__ = [
    "NORMAL",
    "SPACE",
    "TokenType",
    "Vocabulary",
    "merges_by_score",
    "read_tokenizer",
    "read_vocabulary",
]

SPACE = "\u2581"
"""How SentencePiece vocabularies write a blank."""

_BYTE = re.compile(r"<0x[0-9A-F]{2}>")
_LONGEST_PIECE = 128  # characters; merges are looked for at every place of a piece
_MERGES_PER_PIECE = 32  # on average; real vocabularies have two or three


class TokenType:
    """Values of ``tokenizer.ggml.token_type``."""

    NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6


NORMAL = TokenType.NORMAL
_SPECIAL = (TokenType.UNKNOWN, TokenType.CONTROL)


@dataclass(frozen=True)
class Vocabulary:
    """The tokens of a file.

    Attributes:
        tokens: text by id.
        types: of :class:`TokenType`, by id.
        ids: id by text; of equal texts the first.
    """

    tokens: list[str]
    types: list[int]
    ids: dict[str, int]

    def added(self) -> list[dict[str, Any]]:
        """``added_tokens``: those found in a text before anything else is done to it."""
        kinds = {TokenType.UNKNOWN: True, TokenType.CONTROL: True, TokenType.USER_DEFINED: False}
        return [
            {
                "id": index,
                "content": self.tokens[index],
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": kinds[kind],
            }
            for index, kind in enumerate(self.types)
            if kind in kinds and self.tokens[index] and self.ids[self.tokens[index]] == index
        ]


def read_vocabulary(metadata: GgufMetadata) -> Vocabulary:
    """The tokens of a file.

    Raises:
        WeightError: there are none, or they are damaged.
    """
    tokens = metadata.texts("tokenizer.ggml.tokens")
    if not tokens:
        raise WeightError(f"{metadata.path}: has no tokens")
    types = metadata.numbers("tokenizer.ggml.token_type", len(tokens)) or [NORMAL] * len(tokens)
    ids: dict[str, int] = {}
    for index, token in enumerate(tokens):
        ids.setdefault(token, index)
    return Vocabulary(tokens, [int(kind) for kind in types], ids)


def read_tokenizer(metadata: GgufMetadata) -> bytes:
    """The tokenizer.json that the metadata describe, UTF-8.

    Kinds ``gpt2`` (byte-level BPE), ``llama`` (SentencePiece, as BPE with byte fallback) and ``bert``
    (WordPiece).

    Raises:
        WeightError: the metadata describe no tokenizer, or one of another kind.
    """
    kind = metadata.text("tokenizer.ggml.model")
    makers = {"gpt2": _byte_level, "llama": _sentence_piece, "bert": _word_piece}
    if kind not in makers:
        raise WeightError(
            f"{metadata.path}: tokenizer.ggml.model is {kind!r}; {', '.join(makers)} can be converted: "
            "take tokenizer.json from the original model and put it beside the file"
        )
    vocabulary = read_vocabulary(metadata)
    parts = makers[kind](metadata, vocabulary)
    whole = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": vocabulary.added(),
        **parts,
    }
    return json.dumps(whole, ensure_ascii=False).encode()


def _byte_level(metadata: GgufMetadata, vocabulary: Vocabulary) -> dict[str, Any]:
    name = metadata.text("tokenizer.ggml.pre", "gpt-2")
    if name not in PRE_TOKENIZERS:
        raise WeightError(
            f"{metadata.path}: tokenizer.ggml.pre is {name!r}, of which we do not know how it cuts words "
            f"({', '.join(PRE_TOKENIZERS)} are known): put the tokenizer.json of the original beside the file"
        )
    pre = PRE_TOKENIZERS[name]
    merges = []
    for index, merge in enumerate(metadata.texts("tokenizer.ggml.merges")):
        left, blank, right = merge.partition(" ")
        if not blank or not {left, right, left + right} <= vocabulary.ids.keys():
            raise WeightError(
                f"{metadata.path}: tokenizer.ggml.merges[{index}] is {merge!r:.80}, which joins no two tokens"
            )
        merges.append([left, right])
    return {
        "normalizer": {"type": "NFC"} if pre.nfc else None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": pre.steps()},
        "post_processor": _template(metadata, vocabulary, adds_bos=pre.adds_bos),
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": _bpe(vocabulary, merges, ignore_merges=pre.ignore_merges),
    }


def _sentence_piece(metadata: GgufMetadata, vocabulary: Vocabulary) -> dict[str, Any]:
    count = len(vocabulary.tokens)
    scores = metadata.numbers("tokenizer.ggml.scores", count)
    if scores is None:
        raise WeightError(f"{metadata.path}: has no tokenizer.ggml.scores, which a llama tokenizer needs")
    steps: list[dict[str, Any]] = [{"type": "Replace", "pattern": {"String": " "}, "content": SPACE}]
    blank: list[dict[str, Any]] = []
    if metadata.flag("tokenizer.ggml.add_space_prefix", default=True):
        steps.insert(0, {"type": "Prepend", "prepend": SPACE})
        blank = [{"type": "Strip", "content": " ", "start": 1, "stop": 0}]
    unknown = metadata.token("tokenizer.ggml.unknown_token_id", count)
    model = _bpe(vocabulary, merges_by_score(vocabulary, scores))
    model |= {
        "unk_token": None if unknown is None else vocabulary.tokens[unknown],
        "fuse_unk": True,
        "byte_fallback": any(_BYTE.fullmatch(token) for token in vocabulary.tokens),
    }
    decoders = [{"type": "Replace", "pattern": {"String": SPACE}, "content": " "}, {"type": "ByteFallback"}]
    return {
        "normalizer": {"type": "Sequence", "normalizers": steps},
        "pre_tokenizer": None,
        "post_processor": _template(metadata, vocabulary, adds_bos=True),
        "decoder": {"type": "Sequence", "decoders": [*decoders, {"type": "Fuse"}, *blank]},
        "model": model,
    }


def merges_by_score(vocabulary: Vocabulary, scores: list[float]) -> list[list[str]]:
    """Merges that join pieces as SentencePiece does: of two neighbours the pair whose piece scores highest.

    Every way to cut a piece in two pieces is a merge of the piece's rank.
    """
    mergeable = (TokenType.NORMAL, TokenType.USER_DEFINED, TokenType.UNUSED)
    pieces = {
        token: index
        for token, index in vocabulary.ids.items()
        if vocabulary.types[index] in mergeable and len(token) <= _LONGEST_PIECE
    }
    merges = []
    for token in sorted(pieces, key=lambda token: (-scores[pieces[token]], pieces[token])):
        cuts = ((token[:cut], token[cut:]) for cut in range(1, len(token)))
        merges += [[left, right] for left, right in cuts if left in pieces and right in pieces]
        if len(merges) > _MERGES_PER_PIECE * max(len(pieces), 1024):
            raise WeightError(
                "the pieces of the tokenizer can be joined in more ways than those of any real one"
            )
    return merges


def _word_piece(metadata: GgufMetadata, vocabulary: Vocabulary) -> dict[str, Any]:
    """GGUF marks the starts of words, WordPiece the other pieces."""
    words: dict[str, int] = {}
    for index, token in enumerate(vocabulary.tokens):
        is_whole = vocabulary.types[index] in _SPECIAL or (token.startswith("[") and token.endswith("]"))
        piece = token if is_whole else token[1:] if token.startswith(SPACE) else "##" + token
        words.setdefault(piece, index)
    normal = (
        token for token, kind in zip(vocabulary.tokens, vocabulary.types, strict=True) if kind == NORMAL
    )
    is_cased = any(token != token.lower() for token in normal if not token.startswith("["))
    count = len(vocabulary.tokens)
    unknown = metadata.token("tokenizer.ggml.unknown_token_id", count)
    first = metadata.token("tokenizer.ggml.cls_token_id", count)
    first = metadata.token("tokenizer.ggml.bos_token_id", count) if first is None else first
    last = metadata.token("tokenizer.ggml.seperator_token_id", count)  # the key is spelt so
    last = metadata.token("tokenizer.ggml.eos_token_id", count) if last is None else last
    return {
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
            "lowercase": not is_cased,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": _processor(
            vocabulary, _named(vocabulary, first, "[CLS]"), _named(vocabulary, last, "[SEP]")
        ),
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": vocabulary.tokens[_named(vocabulary, unknown, "[UNK]") or 0],
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": words,
        },
    }


def _named(vocabulary: Vocabulary, token: int | None, name: str) -> int | None:
    return vocabulary.ids.get(name) if token is None else token


def _bpe(vocabulary: Vocabulary, merges: list[list[str]], *, ignore_merges: bool = False) -> dict[str, Any]:
    return {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": ignore_merges,
        "vocab": vocabulary.ids,
        "merges": merges,
    }


def _template(metadata: GgufMetadata, vocabulary: Vocabulary, *, adds_bos: bool) -> dict[str, Any] | None:
    count = len(vocabulary.tokens)
    first = metadata.token("tokenizer.ggml.bos_token_id", count)
    last = metadata.token("tokenizer.ggml.eos_token_id", count)
    if not metadata.flag("tokenizer.ggml.add_bos_token", default=adds_bos):
        first = None
    if not metadata.flag("tokenizer.ggml.add_eos_token", default=False):
        last = None
    return _processor(vocabulary, first, last)


def _processor(vocabulary: Vocabulary, first: int | None, last: int | None) -> dict[str, Any] | None:
    """A template that puts ``first`` before each text and ``last`` behind it."""
    if first is None and last is None:
        return None

    def special(token: int | None, number: int) -> list[dict[str, Any]]:
        if token is None:
            return []
        return [{"SpecialToken": {"id": vocabulary.tokens[token], "type_id": number}}]

    def text(name: str, number: int) -> list[dict[str, Any]]:
        return [{"Sequence": {"id": name, "type_id": number}}]

    single = [*special(first, 0), *text("A", 0), *special(last, 0)]
    tokens = {vocabulary.tokens[token]: token for token in (first, last) if token is not None}
    return {
        "type": "TemplateProcessing",
        "single": single,
        "pair": [*single, *text("B", 1), *special(last, 1)],
        "special_tokens": {
            name: {"id": name, "ids": [token], "tokens": [name]} for name, token in tokens.items()
        },
    }
