"""Those who wait for tokens: for the whole text, or for each delta (on an event loop: `async_streams`).

A job knows its consumer, and a consumer does not know its job: whoever holds the stream can vanish, and the
job is cancelled when they do.
"""

from __future__ import annotations

import queue
import threading
import weakref
from typing import TYPE_CHECKING

from arrowmind.engine.jobs import Job

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from arrowmind.generate import Delta, Generation, TokenSequence

__all__ = ["Completion", "GenerationStream", "Mailbox"]


class Completion:
    """Waits for the end of a text."""

    def __init__(self, sequence: TokenSequence) -> None:
        """Not submitted yet: `job` is to be."""
        self._done = threading.Event()
        self._error: Exception | None = None
        self.job = Job(sequence, self)

    def add(self, delta: Delta) -> None:
        """Nothing: the sequence collects it."""

    def finish(self, error: Exception | None) -> None:
        """Ends the wait."""
        self._error = error
        self._done.set()

    def wait(self) -> Generation:
        """The text, as soon as it is complete. Raises what ended it early."""
        self._done.wait()
        if self._error is not None:
            raise self._error
        return self.job.sequence.result()


class GenerationStream:
    """The deltas of a text as they come; an iterator, and a context that cancels what is not read.

    Example:
        >>> stream = engine.stream("Once upon a time")  # doctest: +SKIP
        >>> for delta in stream:  # doctest: +SKIP
        ...     print(delta.text, end="", flush=True)
        >>> stream.generation.timings.tokens_per_second  # doctest: +SKIP
    """

    def __init__(self, sequence: TokenSequence, cancel: Callable[[Job], None]) -> None:
        """Not submitted yet: `job` is to be.

        Args:
            sequence: What is generated.
            cancel: Ends a job early.
        """
        self._queue: queue.SimpleQueue[Delta | Exception | None] = queue.SimpleQueue()
        self.job = Job(sequence, Mailbox(self._queue.put))
        self._has_ended = False
        self._finalizer = weakref.finalize(self, cancel, self.job)
        self._finalizer.atexit = False

    @property
    def generation(self) -> Generation:
        """The whole; before its end, what there is so far, with `finish_reason` None."""
        return self.job.sequence.result()

    def close(self) -> None:
        """Ends the generation if it goes on; there are no more deltas."""
        self._has_ended = True
        self._finalizer()

    def __iter__(self) -> GenerationStream:
        return self

    def __next__(self) -> Delta:
        if self._has_ended:
            raise StopIteration
        try:
            item = self._queue.get()
        except BaseException:  # Ctrl-C
            self.close()
            raise
        if item is None or isinstance(item, Exception):
            self._has_ended = True
            raise StopIteration if item is None else item
        return item

    def __enter__(self) -> GenerationStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Mailbox:
    """Puts what comes where a stream finds it, without knowing the stream."""

    def __init__(self, put: Callable[[Delta | Exception | None], object]) -> None:
        self._put = put

    def add(self, delta: Delta) -> None:
        """Puts a delta."""
        self._put(delta)

    def finish(self, error: Exception | None) -> None:
        """Puts the end."""
        self._put(error)
