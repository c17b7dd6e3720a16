"""A text that comes in pieces, as the tokens of the whole: of any length, in bounded memory."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["TextCutter"]

_ENOUGH = 4096
"""Characters that are tokenised at once, about."""
_CONTEXT = 32
_WORD_END = re.compile(r"(?<=\S)(?=\s)")
_SURROGATES = re.compile("[\ud800-\udfff]")


class TextCutter:
    """Cuts a text behind words, so that the tokens are those of the text in one piece.

    This holds for tokenizers that cut at spaces, as those of language models do. A text without spaces is cut
    somewhere every few thousand characters, where tokens may differ.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        """Before the first piece.

        Args:
            tokenizer: Without a largest length.
        """
        self._tokenizer = tokenizer
        self._before, self._rest = "", ""
        self.first = _leading_specials(tokenizer)
        """Special tokens that stand before a text."""

    def add(self, piece: str) -> list[int]:
        """Tokens of what is certain once `piece` came."""
        self._rest += piece
        if len(self._rest) < _ENOUGH:
            return []
        ends = [match.start() for match in _WORD_END.finditer(self._rest, len(self._rest) // 2)]
        return self._take(ends[-1] if ends else len(self._rest) - _CONTEXT)

    def finish(self) -> list[int]:
        """Tokens of the rest; what is added later follows it."""
        return self._take(len(self._rest))

    def forget(self) -> None:
        """Drops what is not certain yet; what is added later begins anew."""
        self._before = self._rest = ""

    def _take(self, end: int) -> list[int]:
        part, self._rest = self._rest[:end], self._rest[end:]
        if not part:
            return []
        text = _SURROGATES.sub("\ufffd", self._before + part)
        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        begin = len(self._before)
        skipped = sum(1 for first, _ in encoding.offsets if first < begin)
        self._before = text[-_CONTEXT:] if self._rest else ""
        return list(encoding.ids[skipped:])


def _leading_specials(tokenizer: Tokenizer) -> list[int]:
    encoding = tokenizer.encode("a")
    found = []
    for token, is_special in zip(encoding.ids, encoding.special_tokens_mask, strict=True):
        if not is_special:
            break
        found.append(token)
    return found
