"""tokenizer.json -> metadata of a GGUF file: the inverse of `tokenizer`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from arrowmind.errors import WeightError
from arrowmind.weights.gguf.pieces import PRE_TOKENIZERS
from arrowmind.weights.gguf.tokenizer import SPACE, TokenType

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from arrowmind.weights.gguf.encoding import Entries

__all__ = ["write_tokenizer"]

_BYTE = re.compile(r"<0x[0-9A-F]{2}>")
_PREFIX = "tokenizer.ggml."


def write_tokenizer(entries: Entries, document: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """Adds the metadata of a tokenizer.

    Args:
        entries: to add to.
        document: tokenizer.json.
        config: config.json; says which tokens start and end a text.

    Raises:
        WeightError: GGUF has no such tokenizer.
    """
    try:
        _Tokenizer(document, config).write(entries)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise WeightError(
            f"tokenizer.json is damaged: {type(error).__name__} {error}; export it again"
        ) from error


class _Tokenizer:
    def __init__(self, document: Mapping[str, Any], config: Mapping[str, Any]) -> None:
        self._document, self._config = document, config
        self._model: Mapping[str, Any] = document["model"]
        self._kind = _kind(document)
        self._tokens, self._types = self._vocabulary()

    def write(self, entries: Entries) -> None:
        entries.add(_PREFIX + "model", self._kind)
        if self._kind == "gpt2":
            entries.add(_PREFIX + "pre", _pre_tokenizer(self._document))
        entries.add_texts(_PREFIX + "tokens", self._tokens)
        if self._kind == "llama":
            entries.add_float32(_PREFIX + "scores", self._scores())
            entries.add(_PREFIX + "add_space_prefix", _adds_space(self._document))
        entries.add_int32(_PREFIX + "token_type", self._types)
        if self._kind == "gpt2":
            entries.add_texts(_PREFIX + "merges", [f"{left} {right}" for left, right in self._merges()])
        self._write_specials(entries)

    def _vocabulary(self) -> tuple[list[str], list[int]]:
        """Tokens and types by id; ids that the model has rows for but nobody names are unused."""
        added = {entry["id"]: entry for entry in self._document.get("added_tokens", ())}
        texts: dict[int, str] = {index: token for token, index in self._model["vocab"].items()}
        texts |= {index: entry["content"] for index, entry in added.items()}
        count = max([*texts, self._config.get("vocab_size", 1) - 1], default=-1) + 1
        if count > 1 << 24 or min(texts, default=0) < 0:
            raise WeightError(f"tokenizer.json: token ids go up to {count}; it is damaged")
        unknown = self._model.get("unk_token")
        tokens, types = [], []
        for index in range(count):
            text = texts.get(index, f"[PAD{index}]")
            special = bool(added[index].get("special")) if index in added else None
            types.append(self._type(text, index in texts, special, text == unknown))
            is_piece = self._kind == "bert" and special is not True
            tokens.append(_phantom(text) if is_piece else text)
        return tokens, types

    def _type(self, text: str, is_named: bool, special: bool | None, is_unknown: bool) -> int:  # noqa: FBT001
        if not is_named:
            return TokenType.UNUSED
        if is_unknown and self._kind == "llama":
            return TokenType.UNKNOWN
        if special is not None:
            return TokenType.CONTROL if special else TokenType.USER_DEFINED
        return TokenType.BYTE if self._kind == "llama" and _BYTE.fullmatch(text) else TokenType.NORMAL

    def _merges(self) -> Iterator[tuple[str, str]]:
        for merge in self._model["merges"]:
            left, right = merge.split(" ") if isinstance(merge, str) else merge
            yield left, right

    def _scores(self) -> list[float]:
        """A piece scores as high as the first merge that makes it; what no merge makes comes last."""
        ranks: dict[str, int] = {}
        for rank, (left, right) in enumerate(self._merges()):
            ranks.setdefault(left + right, rank)
        order = {piece: place for place, piece in enumerate(ranks)}
        last = len(order)
        return [
            -float(order.get(token, last + index)) if kind == TokenType.NORMAL else 0.0
            for index, (token, kind) in enumerate(zip(self._tokens, self._types, strict=True))
        ]

    def _write_specials(self, entries: Entries) -> None:
        template = _template(self._document)
        first, last = (_special_id(self._document, template, at) for at in (0, -1))
        ids = {
            "bos": _first_id(self._config.get("bos_token_id"), first),
            "eos": _first_id(self._config.get("eos_token_id"), last),
            "padding": _first_id(self._config.get("pad_token_id"), None),
            "unknown": self._model["vocab"].get(self._model.get("unk_token") or ""),
        }
        if self._kind == "bert":
            # The names that readers of WordPiece look for; the second is spelt so.
            ids |= {"bos": None, "eos": None, "cls": first, "seperator": last}
        for name, token in ids.items():
            if token is not None:
                entries.add(f"{_PREFIX}{name}_token_id", int(token))
        if self._kind != "bert":
            entries.add(_PREFIX + "add_bos_token", first is not None)
            entries.add(_PREFIX + "add_eos_token", last is not None)


def _kind(document: Mapping[str, Any]) -> str:
    kind, model = document["model"].get("type"), document["model"]
    if kind == "WordPiece":
        return "bert"
    if kind == "BPE" and any(
        step.get("type") == "ByteLevel" for step in _steps(document.get("pre_tokenizer"))
    ):
        return "gpt2"
    if kind == "BPE" and model.get("byte_fallback"):
        return "llama"
    raise WeightError(
        f"tokenizer.json: model {kind!r} of this kind has no form in GGUF that we write; byte-level BPE, BPE "
        "with byte fallback and WordPiece have: export as safetensors"
    )


def _steps(part: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    """The steps of a part of tokenizer.json, whether it is a sequence or one step."""
    if part is None:
        return []
    for key in ("pretokenizers", "normalizers", "processors"):
        if key in part:
            return list(part[key])
    return [part]


def _pre_tokenizer(document: Mapping[str, Any]) -> str:
    steps = _steps(document.get("pre_tokenizer"))
    patterns = tuple(step["pattern"].get("Regex") for step in steps if step["type"] == "Split")
    has_digits = any(step["type"] == "Digits" for step in steps)
    is_nfc = any(step["type"] == "NFC" for step in _steps(document.get("normalizer")))
    for name, pre in PRE_TOKENIZERS.items():
        if (pre.patterns, pre.digits, pre.nfc) == (patterns, has_digits, is_nfc):
            return name
    raise WeightError(
        f"tokenizer.json: its pre_tokenizer has no name in GGUF that we know (patterns {patterns!r:.80}); "
        "export as safetensors"
    )


def _adds_space(document: Mapping[str, Any]) -> bool:
    steps = [*_steps(document.get("normalizer")), *_steps(document.get("pre_tokenizer"))]
    return any(
        step["type"] == "Prepend"
        or (step["type"] == "Metaspace" and step.get("prepend_scheme", "always") != "never")
        for step in steps
    )


def _phantom(token: str) -> str:
    if token.startswith("[") and token.endswith("]"):
        return token
    return token[2:] if token.startswith("##") else SPACE + token


def _template(document: Mapping[str, Any]) -> Mapping[str, Any]:
    for step in _steps(document.get("post_processor")):
        if step["type"] in ("TemplateProcessing", "BertProcessing"):
            return step
    return {}


def _special_id(document: Mapping[str, Any], template: Mapping[str, Any], at: int) -> int | None:
    """The token that a template puts first (0) or last (-1), if any."""
    if template.get("type") == "BertProcessing":
        return int(template["cls" if at == 0 else "sep"][1])
    single = template.get("single") or [{}]
    name = single[at].get("SpecialToken", {}).get("id")
    if name is None:
        return None
    for entry in document.get("added_tokens", ()):
        if entry["content"] == name:
            return int(entry["id"])
    return int(template["special_tokens"][name]["ids"][0])


def _first_id(configured: object, otherwise: int | None) -> int | None:
    """The token config.json names, the first where it names several."""
    if isinstance(configured, list) and configured:
        configured = configured[0]
    return configured if isinstance(configured, int) and configured >= 0 else otherwise
