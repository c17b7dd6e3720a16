"""Token ids to text, one after the other, never half a character."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from arrowmind.generate.text.pieces import TokenPieces

__all__ = ["Detokenizer"]


class Detokenizer:
    """What each token adds to a text. The sum of what it gives is the text, and nothing given is taken back.

    Bytes that are no UTF-8 become U+FFFD as soon as it is certain that they are none.
    """

    def __init__(self, pieces: TokenPieces, *, skip_special: bool = True, continuing: bool = True) -> None:
        """Before the first token.

        Args:
            pieces: Bytes of the tokens.
            skip_special: Leave special tokens out.
            continuing: The text continues another one (a prompt), so that a leading space is kept. Otherwise
                the space that SentencePiece puts before a text is taken off, as `Tokenizer.decode` does.
        """
        self._pieces = pieces
        self._skip = pieces.special if skip_special else frozenset()
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._at_start = not continuing
        self._spaces = 0 if continuing else pieces.leading_spaces

    def add(self, token: int) -> str:
        """The text that is complete with `token`; often one word, sometimes nothing."""
        if token in self._skip:
            return ""
        piece = self._pieces.of_first(token) if self._at_start else self._pieces.of(token)
        self._at_start = self._at_start and not self._pieces.has(token)
        return self._decoder.decode(self._without_spaces(piece) if self._spaces else piece)

    def finish(self) -> str:
        """What is left at the end: U+FFFD for a character that was begun."""
        return self._decoder.decode(b"", final=True)

    def _without_spaces(self, piece: bytes) -> bytes:
        rest = piece.lstrip(b" ")
        taken = min(len(piece) - len(rest), self._spaces)
        self._spaces = 0 if rest else self._spaces - taken
        return piece[taken:]
