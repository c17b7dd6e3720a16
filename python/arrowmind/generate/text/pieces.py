"""The bytes that each token stands for, from the decoder of a `tokenizers` tokenizer.

A decoder of the library takes a list of tokens and gives a string, in which bytes that are no UTF-8 yet are
lost. The decoders of generating models work token by token, though: the bytes of a text are those of its
tokens in a row. Byte-level BPE spells bytes as printable characters, SentencePiece writes `<0x0A>`
for a byte and U+2581 for a space, and leaves one space out at the beginning of a text.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from arrowmind.errors import TokenizerError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tokenizers import Tokenizer

__all__ = ["TokenPieces"]

_BYTE = re.compile("<0x([0-9A-Fa-f]{2})>")


class TokenPieces:
    """Bytes by token id, looked up when first asked for."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        """Reads the decoder.

        Raises:
            TokenizerError: It has a step that does not work token by token.
        """
        self._tokenizer = tokenizer
        self._special = frozenset(
            token for token, added in tokenizer.get_added_tokens_decoder().items() if added.special
        )
        self._steps, self.leading_spaces, self._first_has_none = _read_decoder(tokenizer)
        self._pieces: dict[int, bytes] = {}

    @property
    def special(self) -> frozenset[int]:
        """Ids of special tokens, which are no part of a text."""
        return self._special

    def has(self, token: int) -> bool:
        """Whether the id has a token; models may have more rows than their tokenizer has tokens."""
        return self._tokenizer.id_to_token(token) is not None

    def encode(self, text: str) -> list[int]:
        """Tokens of `text`, without special ones around it."""
        return self._tokenizer.encode(text, add_special_tokens=False).ids

    def of(self, token: int) -> bytes:
        """Bytes of a token in the midst of a text; none for an id that has no token."""
        piece = self._pieces.get(token)
        if piece is None:
            piece = self._pieces[token] = self._bytes(self._tokenizer.id_to_token(token) or "")
        return piece

    def of_first(self, token: int) -> bytes:
        """Bytes of a token at the beginning of a text, before `leading_spaces` are taken off."""
        if self._first_has_none is None:
            return self.of(token)
        return self._bytes((self._tokenizer.id_to_token(token) or "").replace(self._first_has_none, ""))

    def _bytes(self, text: str) -> bytes:
        piece: str | bytes = text
        for step in self._steps:
            piece = step(piece) if isinstance(piece, str) else piece
        return piece.encode(errors="replace") if isinstance(piece, str) else piece


def _read_decoder(tokenizer: Tokenizer) -> tuple[list[Callable[[str], str | bytes]], int, str | None]:
    """What is done to each token, how many leading spaces a text loses, what its first token loses."""
    decoder: Any = tokenizer.decoder
    if decoder is None:
        raise TokenizerError("the tokenizer has no decoder; convert the model again from its original folder")
    steps: list[Callable[[str], str | bytes]] = []
    leading, first, fused = 0, None, False
    for step in _flat(json.loads(decoder.__getstate__())):
        kind = step["type"]
        if kind == "ByteLevel":
            steps.append(_from_byte_level)
        elif kind == "ByteFallback":
            steps.append(_from_byte_fallback)
        elif kind == "Fuse":
            fused = True
        elif kind == "Replace" and "String" in step["pattern"]:
            steps.append(_replacing(step["pattern"]["String"], step["content"]))
        elif kind == "Metaspace":
            steps.append(_replacing(step["replacement"], " "))
            first = None if step.get("prepend_scheme", "always") == "never" else step["replacement"]
        elif kind == "Strip" and fused and step["content"] == " " and step["stop"] == 0:
            leading = step["start"]
        else:
            raise TokenizerError(
                f"the tokenizer's decoder has a step {json.dumps(step)[:120]}, which text cannot be streamed "
                "through; ByteLevel, Metaspace, Replace of a string, ByteFallback, Fuse and Strip can"
            )
    return steps, leading, first


def _flat(decoder: dict[str, Any]) -> Sequence[dict[str, Any]]:
    if decoder["type"] != "Sequence":
        return [decoder]
    return [step for inner in decoder["decoders"] for step in _flat(inner)]


def _replacing(old: str, new: str) -> Callable[[str], str]:
    return lambda text: text.replace(old, new)


def _from_byte_fallback(text: str) -> str | bytes:
    found = _BYTE.fullmatch(text)
    return bytes.fromhex(found[1]) if found else text


def _byte_of_character() -> dict[str, int]:
    """GPT-2's alphabet: printable bytes as they are, the others from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + n): byte for n, byte in enumerate(others)}


_BYTES = _byte_of_character()


def _from_byte_level(text: str) -> bytes:
    try:
        return bytes([_BYTES[character] for character in text])
    except KeyError:  # an added token, which is spelled as it is
        return text.encode(errors="replace")
