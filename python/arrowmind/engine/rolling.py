"""One sequence in constant memory: its first tokens, pages that were put back, and a recent window.

Positions in the cache are a range without gaps: sinks, recalled pages, window. When pages leave the window
and when pages are put back, sinks and recalled pages are turned to stand directly before the window, whose
tokens keep their positions; each from what was in the cache when it was written, so that no error adds up.
Distances thus stay within what the model was trained for, and positions grow without end.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import numpy as np

from arrowmind.errors import InvalidArgumentError
from arrowmind.frozen import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from arrowmind.engine.decoding import CachedDecoder

__all__ = ["MovedPage", "RollingSequence", "RollingShape"]


_LONGEST_PART = 512


@dataclass(frozen=True)
class RollingShape:
    """How much of a sequence is in the cache.

    Attributes:
        sinks: First tokens that stay, rounded up to pages.
        window: Most recent tokens, at least four pages.
        recalled: Most pages that are put back between them.
        page_tokens: Tokens of a page.
    """

    sinks: int
    window: int
    recalled: int
    page_tokens: int

    @property
    def sink_pages(self) -> int:
        """Pages that stay."""
        return -(-self.sinks // self.page_tokens)

    @property
    def tokens(self) -> int:
        """Most tokens in the cache."""
        return (self.sink_pages + self.recalled) * self.page_tokens + self.window

    @property
    def pool_tokens(self) -> int:
        """Tokens of a cache that holds a sequence, one that forked, and what is put in the place of pages."""
        before = (self.sink_pages + self.recalled) * self.page_tokens
        return 2 * self.tokens + before + 4 * self.page_tokens

    @property
    def chunk(self) -> int:
        """Tokens that may come at once, so that each sees most of the window."""
        most = min(_LONGEST_PART, self.window // 4)
        return max(self.page_tokens, most // self.page_tokens * self.page_tokens)

    def check(self, most: int) -> None:
        """Raises InvalidArgumentError unless a model that reads `most` tokens has room for it."""
        page = self.page_tokens
        if page < 16 or page % 16:
            raise InvalidArgumentError(f"block_tokens is {page}; use a multiple of 16")
        if self.sinks < 0 or self.recalled < 0:
            name, value = ("sinks", self.sinks) if self.sinks < 0 else ("recalled", self.recalled)
            raise InvalidArgumentError(f"{name} is {value}; use 0 or more")
        if self.window < 4 * page:
            raise InvalidArgumentError(
                f"window is {self.window} tokens; use at least {4 * page}, four blocks of {page}, "
                "smaller blocks (block_tokens), or recall fewer (recalled)"
            )
        if self.tokens > most:
            raise InvalidArgumentError(
                f"sinks of {self.sink_pages * page} tokens, {self.recalled} recalled blocks of {page} and a "
                f"window of {self.window} are {self.tokens} tokens, and the model reads {most}: make the "
                "window, sinks or recalled smaller"
            )


@dataclass(frozen=True)
class MovedPage:
    """A page as it was when it was written.

    Attributes:
        position: Of its first token in the cache it was written in.
        data: uint8 [page_bytes].
    """

    position: int
    data: NDArray[np.uint8]


class RollingSequence:
    """A sequence of a decoder of its own; a `Decoder` of one sequence for those who generate."""

    def __init__(
        self,
        decoder: CachedDecoder,
        shape: RollingShape,
        leaves: Callable[[MovedPage, list[int], list[int]], None] | None = None,
        *,
        shift: int = 0,
    ) -> None:
        """An empty one.

        Args:
            decoder: Runs the model; its cache holds `shape.pool_tokens` in pages of `shape.page_tokens`.
            shape: How much is kept.
            leaves: Takes each page that leaves the window, its tokens, and those behind it, beforehand.
                When it raises, the page stays.
            shift: Position of the first token; leaves room before the window for pages of an earlier text.
        """
        self._decoder, self._shape, self._leaves = decoder, shape, leaves
        self._handle = decoder.start(shift)
        self._tokens: list[int] = []  # of the window; those of the sinks too until they are set apart
        self._sinks: list[MovedPage] | None = None  # None until they are set apart
        self._recalled: list[MovedPage] = []

    @property
    def tokens(self) -> int:
        """Tokens in the cache."""
        return self._decoder.length(self._handle)

    @property
    def position(self) -> int:
        """Position of the next token."""
        return self._decoder.shift(self._handle) + self.tokens

    @property
    def recalled(self) -> int:
        """Pages that were put back."""
        return len(self._recalled)

    @property
    def has_rolled(self) -> bool:
        """Whether the sinks are apart from the window."""
        return self._sinks is not None

    def append(self, tokens: Sequence[int], rows: int) -> NDArray[np.float32]:
        """Appends tokens, in parts where they are many; float32 [rows, vocabulary] after the last `rows`.

        What fails midway leaves the parts before it in the sequence.

        Raises:
            InvalidArgumentError: a token is none of the vocabulary.
        """
        found = [np.zeros((0, self._decoder.vocabulary), np.float32)]
        done = 0
        while done < len(tokens):
            part = list(tokens[done : done + self._shape.chunk])
            done += len(part)
            wanted = min(len(part), max(0, rows - (len(tokens) - done)))
            self._make_room(len(part))
            found += self._decoder.append([(self._handle, part, wanted)])
            self._tokens += part
        return np.concatenate(found)

    def forget(self, count: int) -> None:
        """Drops the last `count` tokens.

        Raises:
            InvalidArgumentError: there are fewer in the window.
        """
        if not 0 <= count <= len(self._tokens):
            raise InvalidArgumentError(f"{count} tokens to forget; the window has {len(self._tokens)}")
        self._decoder.forget(self._handle, count)
        del self._tokens[len(self._tokens) - count :]

    def fork(self) -> RollingSequence:
        """One that goes on from here; what leaves its window is gone."""
        made = copy.copy(self)
        made._leaves = None
        made._tokens, made._recalled = list(self._tokens), list(self._recalled)
        made._handle = self._decoder.fork(self._handle, self.tokens)
        return made

    def recall(self, pages: Sequence[MovedPage]) -> None:
        """Puts pages between sinks and window, in the place of those that were put there before.

        Raises:
            InvalidArgumentError: there are more than `recalled`, or more than ever left the window.
        """
        if len(pages) > self._shape.recalled:
            raise InvalidArgumentError(
                f"{len(pages)} pages to recall; there is room for {self._shape.recalled}"
            )
        if pages or self._recalled:
            self._arrange(list(pages), 0)

    def read_apart(self, tokens: Sequence[int]) -> MovedPage:
        """The last page of whole pages of tokens that are read again, behind the sinks alone."""
        sinks, size = self._set_apart(), self._shape.page_tokens
        handle = self._decoder.fork(self._handle, len(sinks) * size)
        try:
            self._decoder.append([(handle, list(tokens), 0)])
            place = len(sinks) + len(tokens) // size - 1
            (data,) = self._decoder.copy_pages(handle, place, 1)
            return MovedPage(self._decoder.shift(handle) + place * size, data)
        finally:
            self._decoder.close(handle)

    def last_pages(self, count: int) -> tuple[NDArray[np.uint8], int, int]:
        """The pages of the last `count` tokens, the position of the first of them, and which is wanted."""
        size, length = self._shape.page_tokens, self.tokens
        first = (length - count) // size
        pages = self._decoder.copy_pages(self._handle, first, -(-length // size) - first)
        return pages, self._decoder.shift(self._handle) + first * size, length - count - first * size

    def close(self) -> None:
        """Frees its pages."""
        self._decoder.close(self._handle)

    def _make_room(self, tokens: int) -> None:
        """Lets pages leave until the window has room for `tokens` more."""
        page, apart = self._shape.page_tokens, self._sinks is not None
        before = 0 if apart else self._shape.sink_pages * page
        excess = len(self._tokens) - before + tokens - self._shape.window
        if excess <= 0:
            return
        self._set_apart()
        count = -(-excess // page)
        if self._leaves is not None:
            first = self._pages_before
            pages = self._copies(first, count)
            for place, moved in enumerate(pages):
                begin = place * page
                self._leaves(moved, self._tokens[begin : begin + page], self._tokens[begin + page :])
        self._arrange(self._recalled, count)

    @property
    def _pages_before(self) -> int:
        """Pages before the window."""
        return len(self._sinks or ()) + len(self._recalled)

    def _set_apart(self) -> list[MovedPage]:
        """The sinks as they were written; from the first call on the window begins behind them."""
        if self._sinks is None:
            page = self._shape.page_tokens
            self._sinks = self._copies(0, min(self._shape.sink_pages, self.tokens // page))
            del self._tokens[: len(self._sinks) * page]
        return self._sinks

    def _copies(self, first: int, count: int) -> list[MovedPage]:
        """Pages of the cache as they are."""
        begin = self._decoder.shift(self._handle)
        data = self._decoder.copy_pages(self._handle, first, count)
        page = self._shape.page_tokens
        return [MovedPage(begin + (first + i) * page, data[i]) for i in range(count)]

    def _arrange(self, recalled: list[MovedPage], leaving: int) -> None:
        """Takes `leaving` pages out of the window and puts sinks and `recalled` directly before the rest."""
        pages = self._set_apart() + recalled
        size = self._shape.page_tokens
        old = self._pages_before + leaving
        begin = self._decoder.shift(self._handle) + (old - len(pages)) * size
        turned = [
            self._decoder.turn(one.data[np.newaxis], begin + place * size - one.position)
            for place, one in enumerate(pages)
        ]
        empty = np.zeros((0, self._decoder.page_bytes), np.uint8)
        self._decoder.splice(self._handle, 0, old, np.concatenate([empty, *turned]))
        self._recalled = recalled
        del self._tokens[: leaving * size]
