"""Pages that leave the window of a reader, as blocks of a store, and blocks as pages again."""

from __future__ import annotations

import dataclasses
from collections import Counter, deque
from typing import TYPE_CHECKING

import numpy as np

from arrowmind.engine.rolling import MovedPage
from arrowmind.errors import StorageError
from arrowmind.frozen import dataclass
from arrowmind.observe import get_logger
from arrowmind.streaming import (
    Block,
    BlockStore,
    Grader,
    GradingRules,
    RecallWeights,
    StoreIdentity,
    TermCounts,
    block_terms,
    find_blocks,
    overlap_of,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from arrowmind.engine.decoding import CachedDecoder
    from arrowmind.engine.rolling import RollingSequence, RollingShape
    from arrowmind.streaming import Found, Grade

__all__ = ["BlockKeeper", "KeepSettings"]

_log = get_logger("arrowmind.engine")
_MOST_COLUMNS = 512


@dataclass(frozen=True)
class KeepSettings:
    """What becomes of blocks that leave the window.

    Attributes:
        rules: Which are kept how.
        weights: What they are found by.
        store: Folder that keeps them; None is a temporary one.
        store_bytes: Most bytes of keys and values on disk; blocks beyond are reduced. None is no bound.
        codes: Format of quantised ones: `int8`, `k4v4`, `k4v3`.
    """

    rules: GradingRules = dataclasses.field(default_factory=GradingRules)
    weights: RecallWeights = dataclasses.field(default_factory=RecallWeights)
    store: str | os.PathLike[str] | None = None
    store_bytes: int | None = None
    codes: str = "int8"


class BlockKeeper:
    """Stores the pages of one text, and finds them again. Not for several threads at once."""

    def __init__(
        self,
        decoder: CachedDecoder,
        shape: RollingShape,
        settings: KeepSettings,
        fingerprint: str,
        text_of: Callable[[Sequence[int]], str],
    ) -> None:
        """Opens the store.

        Args:
            decoder: Whose pages these are.
            shape: Of the sequence.
            settings: What becomes of them.
            fingerprint: Of the model.
            text_of: Token ids to text, for rules that look at it.

        Raises:
            StorageError: The store cannot be used.
        """
        self._decoder, self._shape, self._settings, self._text_of = decoder, shape, settings, text_of
        self._layer = decoder.layers // 2
        self._columns = min(decoder.key_columns(self._layer), _MOST_COLUMNS)
        exact = decoder.settings.format
        identity = StoreIdentity(
            fingerprint=fingerprint,
            block_tokens=shape.page_tokens,
            dimension=self._columns,
            exact=exact,
            exact_bytes=decoder.page_bytes,
            codes=settings.codes,
            code_bytes=decoder.encoded_bytes(settings.codes),
        )
        self.store = BlockStore(identity, settings.store)
        # Blocks of an earlier text need positions before this one.
        self.shift = shape.recalled * shape.page_tokens if len(self.store) else 0
        self.grades: Counter[str] = Counter()
        counts = TermCounts()
        for index in self.store.scan():
            counts.add_all(index.terms)
        self._grader = Grader(settings.rules, counts)
        self._marks: deque[tuple[int, Grade | None]] = deque()
        self._tail: Sequence[int] = ()
        self._last = -1
        self._is_full = False

    def mark(self, end: int, grade: Grade | None) -> None:
        """Says how the tokens up to `end`, behind those of the mark before, are to be kept."""
        if self._marks and self._marks[-1][1] == grade:
            self._marks.pop()
        self._marks.append((end, grade))

    def keep(self, page: MovedPage, tokens: list[int], after: list[int]) -> None:
        """Stores a page with its tokens; `after` are those behind it, which rules look at, too. One that
        comes again, because something failed after it, is not stored twice.

        Raises:
            StorageError: The disk is full or cannot be written.
        """
        if page.position <= self._last:
            self.store.flush()
            return
        terms = block_terms(tokens, self._tail)
        near = [*self._tail, *tokens, *after[: overlap_of(len(tokens))]]
        text = self._text_of(near) if self._grader.needs_text else ""
        grade = self._grader.grade(terms, self._mark_of(page.position - self.shift), text)
        grade = self._within_bound(grade)
        self._last, self._tail = page.position, tokens[-overlap_of(len(tokens)) :]
        self.grades[grade] += 1
        self.store.append(
            Block(
                position=page.position,
                tokens=np.asarray(tokens, np.int32),
                grade=grade,
                terms=terms,
                summary=self._summary(page.data[np.newaxis], page.position, len(tokens)),
                payload=self._payload(page, grade),
            )
        )

    def find(self, sequence: RollingSequence, tokens: Sequence[int], count: int) -> list[Found]:
        """Blocks that a question behind a sequence needs.

        Raises:
            StorageError: A part of the store is damaged.
        """
        weights = self._settings.weights
        wants_summary = weights.vector > 0 and len(self.store) > 0
        summary = self._summary_of_question(sequence, tokens) if wants_summary else None
        return find_blocks(self.store, tokens, count, summary=summary, weights=weights)

    def pages(self, sequence: RollingSequence, found: Sequence[Found]) -> list[MovedPage]:
        """The pages of blocks; reduced ones are read again behind the sinks of a sequence.

        Raises:
            StorageError: A block is damaged.
        """
        return [self._page(sequence, one.number) for one in found]

    def _page(self, sequence: RollingSequence, number: int) -> MovedPage:
        block = self.store.read(number)
        if block.grade == "exact":
            return MovedPage(block.position, block.payload)
        if block.grade == "quantised":
            codes = block.payload[np.newaxis]
            return MovedPage(block.position, self._decoder.decode_pages(codes, self._settings.codes)[0])
        before = self.store.read(number - 1).tokens if number else block.tokens[:0]
        tokens = np.concatenate([before, block.tokens])
        if int(tokens.min()) < 0 or int(tokens.max()) >= self._decoder.vocabulary:
            raise StorageError(
                f"{self.store.folder}: a block has token ids outside the vocabulary; remove the store and "
                "read the text again"
            )
        return sequence.read_apart(tokens.tolist())

    def _payload(self, page: MovedPage, grade: Grade) -> NDArray[np.uint8]:
        if grade == "exact":
            return page.data
        if grade == "reduced":
            return np.zeros(0, np.uint8)
        codes = self._decoder.encode_pages(page.data[np.newaxis], self._settings.codes)
        return codes.reshape(-1)

    def _within_bound(self, grade: Grade) -> Grade:
        """The grade, or `reduced` where the store holds as many bytes as it may."""
        most = self._settings.store_bytes
        size = {"exact": self._decoder.page_bytes, "quantised": self.store.identity.code_bytes}.get(grade, 0)
        if most is None or self.store.bytes + size <= most:
            return grade
        if not self._is_full:
            self._is_full = True
            _log.warning("the store of blocks is full: more are kept as tokens alone", bytes=most)
        return "reduced"

    def _mark_of(self, begin: int) -> Grade | None:
        """What was said of the block that begins at `begin`: `exact` of any part of it, else of all of it."""
        while self._marks and self._marks[0][0] <= begin:
            self._marks.popleft()
        said: set[Grade | None] = set()
        for end, grade in self._marks:
            said.add(grade)
            if end >= begin + self._shape.page_tokens:
                break
        known: tuple[Grade | None, ...] = ("exact", None, "quantised", "reduced")
        return next((grade for grade in known if grade in said), None)

    def _summary_of_question(self, sequence: RollingSequence, tokens: Sequence[int]) -> NDArray[np.float32]:
        """What the keys of a question have in common, as the model reads it behind a sequence."""
        asked = sequence.fork()
        try:
            last = list(tokens[-self._shape.window // 2 :])
            asked.append(last, 0)
            pages, position, first = asked.last_pages(len(last))
            return self._summary(pages, position, len(last), first)
        finally:
            asked.close()

    def _summary(
        self, pages: NDArray[np.uint8], position: int, count: int, first: int = 0
    ) -> NDArray[np.float32]:
        """The mean of the keys of tokens [first, first + count), each turned back to position 0."""
        keys = self._decoder.plain_keys(pages, self._layer, position)[first : first + count]
        mean: NDArray[np.float32] = keys[:, : self._columns].mean(axis=0)
        return mean
