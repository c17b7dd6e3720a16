"""Reads texts without end in constant memory, and answers questions about them."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arrowmind.engine.answering import ReadingStream
from arrowmind.engine.cutting import TextCutter
from arrowmind.engine.generation import make_request
from arrowmind.engine.inputs import check_ids
from arrowmind.engine.keeping import BlockKeeper, KeepSettings
from arrowmind.engine.rolling import RollingSequence
from arrowmind.errors import InvalidArgumentError
from arrowmind.frozen import dataclass
from arrowmind.observe import progress_bar
from arrowmind.streaming.grading import check_grade

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    from typing_extensions import Unpack

    from arrowmind.engine.decoding import CachedDecoder
    from arrowmind.engine.generating import GenerationOptions
    from arrowmind.engine.generation import TextGenerator
    from arrowmind.engine.prompts import Prompt
    from arrowmind.engine.rolling import RollingShape
    from arrowmind.generate import Generation
    from arrowmind.observe import Progress
    from arrowmind.streaming import Found, Grade

__all__ = ["ReaderStats", "RecalledBlock", "TextReader"]

_PIECE = 1 << 16
_EXPECTED = "give text, a Path, token ids, or an iterable of pieces of text"


@dataclass(frozen=True)
class ReaderStats:
    """How far a reader is.

    Attributes:
        tokens: Tokens that were read.
        blocks: Blocks in the store, those of earlier readers included.
        grades: How many of each grade this reader stored.
        store_bytes: Keys and values in the store.
        cache_bytes: Memory of the cache.
        cached_tokens: Tokens in the cache: the first ones, those brought back, the window.
    """

    tokens: int
    blocks: int
    grades: dict[str, int]
    store_bytes: int
    cache_bytes: int
    cached_tokens: int


@dataclass(frozen=True)
class RecalledBlock:
    """A block that a question brings back.

    Attributes:
        number: Of the block, from 0 on.
        score: 0 to 1.
        grade: How it was kept.
        text: Its text.
    """

    number: int
    score: float
    grade: Grade
    text: str


class TextReader:
    """One text without end: `feed` it, then ask with `generate` or `stream`.

    The cache holds the first tokens, the most recent ones, and what a question brings back; all else is on
    disk. Calls from several threads are served one by one.

    Example:
        >>> with engine.reader(window=1024) as reader:  # doctest: +SKIP
        ...     reader.feed(Path("book.txt"))
        ...     print(reader.generate("Who found the key?").text)
    """

    def __init__(
        self,
        decoder: CachedDecoder,
        shape: RollingShape,
        generator: TextGenerator,
        fingerprint: str,
        settings: KeepSettings | None = None,
    ) -> None:
        """Opens the store; reads nothing yet.

        Args:
            decoder: Its cache is the reader's own, of `shape.pool_tokens`.
            shape: What of a text is in the cache.
            generator: Of the same model: its tokens, templates and constraints.
            fingerprint: Of the model.
            settings: What becomes of blocks that leave the window.

        Raises:
            InvalidArgumentError: The shape is out of range.
            StorageError: The store cannot be used.
        """
        shape.check(decoder.window)
        self._decoder, self._shape, self._generator = decoder, shape, generator
        self._keeper = BlockKeeper(
            decoder, shape, settings or KeepSettings(), fingerprint, generator.tokenizer.decode
        )
        self._sequence = RollingSequence(decoder, shape, self._keeper.keep, shift=self._keeper.shift)
        self._cutter = TextCutter(generator.tokenizer)
        self._read = 0
        self._answer: ReadingStream | None = None
        self._is_closed = False
        self._lock = threading.RLock()

    @property
    def decoder(self) -> CachedDecoder:
        """What runs the model; its cache is the reader's."""
        return self._decoder

    @property
    def stats(self) -> ReaderStats:
        """How far it is."""
        with self._lock:
            self._check_open()
            keeper = self._keeper
            return ReaderStats(
                tokens=self._read,
                blocks=len(keeper.store),
                grades=dict(keeper.grades),
                store_bytes=keeper.store.bytes,
                cache_bytes=self._decoder.cache_bytes,
                cached_tokens=self._sequence.tokens,
            )

    def feed(
        self,
        source: str | Path | Sequence[int] | Iterable[str],
        *,
        grade: Grade | None = None,
        show_progress: bool = False,
    ) -> int:
        """Reads a text, or its continuation.

        It may be interrupted (Ctrl-C): what was read stays, `stats.tokens` of it.

        Args:
            source: Text, of any length; a file of it (a `Path`, UTF-8), token ids, or an iterable of pieces
                of text, such as an open file. Pieces are joined as they are.
            grade: How it is kept when it leaves the window: `exact` holds for every block with any of it,
                `quantised` and `reduced` for blocks of nothing else; None decides by rules and score.
            show_progress: Draw a progress bar on standard error.

        Returns:
            Tokens that were read.

        Raises:
            InvalidArgumentError: It is no text, a token is none of the vocabulary, or the reader is closed.
            StorageError: The disk is full or cannot be written; what was read before is there.
        """
        check_grade(grade)
        before = self._read
        try:
            with progress_bar(enabled=show_progress) as progress:
                for tokens in self._parts(source, progress):
                    self._append(tokens, grade)
        finally:
            self._cutter.forget()  # what was not read is no part of the text
        return self._read - before

    def recall(self, question: Prompt, count: int | None = None) -> list[RecalledBlock]:
        """The blocks that a question would bring back, in the order of the text.

        Args:
            question: As for `generate`.
            count: How many; None takes as many as there is room for.

        Raises:
            InvalidArgumentError: `count` is below 1, or the question is none.
            StorageError: A block is damaged.
        """
        if count is not None and count < 1:
            raise InvalidArgumentError(f"count is {count}; use 1 or more")
        with self._lock:
            self._check_open()
            found = self._find(self._ids(question), self._shape.recalled if count is None else count)
            blocks = [self._keeper.store.read(one.number) for one in found]
        text_of = self._generator.tokenizer.decode
        return [
            RecalledBlock(one.number, one.score, block.grade, text_of(block.tokens.tolist()))
            for one, block in zip(found, blocks, strict=True)
        ]

    def generate(
        self, prompt: Prompt, *, keep: bool = False, **options: Unpack[GenerationOptions]
    ) -> Generation:
        """The answer to a question about the text. Blocks that it needs are brought back for it.

        Args:
            prompt: Text, token ids, or messages.
            keep: Question and answer become part of the text; else it goes on as if nothing was asked.
            **options: As of `ArrowEngine.generate`.

        Raises:
            InvalidArgumentError: As for `ArrowEngine.generate`; or another answer is not read to its end.
            StorageError: A block is damaged.
        """
        with self.stream(prompt, keep=keep, **options) as answer:
            for _ in answer:
                pass
            return answer.generation

    def stream(
        self, prompt: Prompt, *, keep: bool = False, **options: Unpack[GenerationOptions]
    ) -> ReadingStream:
        """The same, piece by piece: an iterator of deltas. Each is computed when it is asked for."""
        request = make_request(options)
        with self._lock:
            self._check_open()
            if self._answer is not None and not self._answer.has_ended:
                raise InvalidArgumentError("an answer of this reader is not read to its end; close it first")
            ids = self._ids(prompt)
            sequence = self._generator.sequence(ids, request)
            asked = self._sequence if keep else self._sequence.fork()
            try:
                found = self._find(ids, self._shape.recalled)
                asked.recall(self._keeper.pages(asked, found))
            except BaseException:
                if not keep:
                    asked.close()
                raise
            counted = self._count if keep else asked.close
            self._answer = ReadingStream(sequence, asked, self._lock, counted)
            return self._answer

    def close(self) -> None:
        """Frees the cache; a temporary store is removed. Closing twice does nothing.

        Raises:
            StorageError: What waits to be stored cannot be written.
        """
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            if self._answer is not None:
                self._answer.close()
            self._sequence.close()
            self._decoder.trim()
            self._keeper.store.close()

    def __enter__(self) -> TextReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _append(self, tokens: list[int], grade: Grade | None) -> None:
        with self._lock:
            self._check_open()
            self._keeper.mark(self._read + len(tokens), grade)
            self._sequence.append(tokens, 0)
            self._read += len(tokens)

    def _check_open(self) -> None:
        if self._is_closed:
            raise InvalidArgumentError("the reader is closed; open another one")

    def _count(self) -> None:
        """After question and answer became part of the text."""
        self._read = self._sequence.position - self._keeper.shift
        self._keeper.mark(self._read, None)

    def _find(self, ids: list[int], count: int) -> list[Found]:
        return self._keeper.find(self._sequence, ids, count)

    def _ids(self, prompt: Prompt) -> list[int]:
        """Token ids of a prompt; what stands before a text stands before the first one alone."""
        ids = self._generator.prompts.ids(prompt)
        first = self._cutter.first
        if self._read and first and len(ids) > len(first) and ids[: len(first)] == first:
            return ids[len(first) :]
        return ids

    def _parts(
        self, source: str | Path | Sequence[int] | Iterable[str], progress: Progress
    ) -> Iterator[list[int]]:
        """Tokens, as many at a time as the cache takes."""
        size = self._shape.chunk
        waiting: list[int] = []
        for some in self._tokens(source, progress):
            waiting += some
            whole = len(waiting) // size * size
            for begin in range(0, whole, size):
                yield waiting[begin : begin + size]
            del waiting[:whole]
        if waiting:
            yield waiting

    def _tokens(
        self, source: str | Path | Sequence[int] | Iterable[str], progress: Progress
    ) -> Iterator[list[int]]:
        if isinstance(source, str | Path):
            yield from self._cut(_pieces(source, progress))
            return
        if isinstance(source, bytes | Mapping) or not isinstance(source, Iterable):
            raise InvalidArgumentError(f"a text to read is {type(source).__name__}; {_EXPECTED}")
        items: Iterator[Any] = iter(source)
        for first in items:
            together = chain([first], items)
            yield from self._cut(_checked(together)) if isinstance(first, str) else _id_parts(together)

    def _cut(self, pieces: Iterable[str]) -> Iterator[list[int]]:
        first = [] if self._read else list(self._cutter.first)
        for piece in pieces:
            if tokens := self._cutter.add(piece):
                yield first + tokens
                first = []
        if tokens := self._cutter.finish():
            yield first + tokens


def _pieces(source: str | Path, progress: Progress) -> Iterator[str]:
    """A text or a file, piece by piece."""
    if isinstance(source, str):
        for begin in range(0, len(source), _PIECE):
            progress(begin, len(source), "reading")
            yield source[begin : begin + _PIECE]
        return
    try:
        size = source.stat().st_size
        with source.open(encoding="utf-8", errors="replace") as file:
            done = 0
            while piece := file.read(_PIECE):
                yield piece
                done += len(piece.encode("utf-8", "replace"))
                progress(min(done, size), size, "reading")
    except OSError as error:
        raise InvalidArgumentError(f"{source} cannot be read: {error.strerror}") from error


def _checked(pieces: Iterable[Any]) -> Iterator[str]:
    for piece in pieces:
        if not isinstance(piece, str):
            raise InvalidArgumentError(f"a piece of text is {type(piece).__name__}; {_EXPECTED}")
        yield piece


def _id_parts(ids: Iterable[Any]) -> Iterator[list[int]]:
    """Token ids, some at a time."""
    part: list[Any] = []
    for token in ids:
        part.append(token)
        if len(part) == _PIECE:
            yield check_ids(part)
            part = []
    yield check_ids(part)
