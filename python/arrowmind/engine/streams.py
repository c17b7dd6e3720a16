"""Those who wait for tokens: for the whole text, for each delta, or for each on an event loop.

A job knows its consumer, and a consumer does not know its job: whoever holds the stream can vanish, and the
job is cancelled when they do.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import weakref
from typing import TYPE_CHECKING

from arrowmind.engine.jobs import Job

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from arrowmind.generate import Delta, Generation, TokenSequence

__all__ = ["AsyncGenerationStream", "Completion", "GenerationStream"]


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
        self.job = Job(sequence, _Mailbox(self._queue.put))
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


class AsyncGenerationStream:
    """The same for an event loop, which never waits: tokenising and computing are other threads' work."""

    def __init__(
        self,
        prepare: Callable[[], TokenSequence],
        submit: Callable[[Job], None],
        cancel: Callable[[Job], None],
    ) -> None:
        """Nothing is done before `start` or the first delta is asked for.

        Args:
            prepare: Makes the sequence; called in a thread.
            submit: Hands a job to the scheduler.
            cancel: Ends it early.
        """
        self._prepare, self._submit, self._cancel = prepare, submit, cancel
        self._queue: asyncio.Queue[Delta | Exception | None] = asyncio.Queue()
        self._job: Job | None = None
        self._has_ended = False
        self._finalizer: weakref.finalize[..., AsyncGenerationStream] | None = None

    @property
    def generation(self) -> Generation | None:
        """The whole; before its end, what there is so far; None before it began."""
        return None if self._job is None else self._job.sequence.result()

    async def start(self) -> None:
        """Queues the sequence, so that what is wrong with it is known before the first delta.

        Raises:
            InvalidArgumentError: The prompt or an option cannot be used.
            OverloadError: Too many wait already.
        """
        if self._job is not None or self._has_ended:
            return
        sequence = await asyncio.to_thread(self._prepare)
        loop, mailbox = asyncio.get_running_loop(), self._queue
        job = Job(sequence, _Mailbox(lambda item: loop.call_soon_threadsafe(mailbox.put_nowait, item)))
        self._finalizer = weakref.finalize(self, self._cancel, job)
        self._finalizer.atexit = False
        self._submit(job)
        self._job = job

    async def aclose(self) -> None:
        """Ends the generation if it goes on; there are no more deltas."""
        self._close()

    def __aiter__(self) -> AsyncGenerationStream:
        return self

    async def __anext__(self) -> Delta:
        if self._has_ended:
            raise StopAsyncIteration
        try:
            await self.start()
            item = await self._queue.get()
        except BaseException:  # above all CancelledError: who waited has gone
            self._close()
            raise
        if item is None or isinstance(item, Exception):
            self._has_ended = True
            raise StopAsyncIteration if item is None else item
        return item

    async def __aenter__(self) -> AsyncGenerationStream:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _close(self) -> None:
        self._has_ended = True
        if self._finalizer is not None:
            self._finalizer()


class _Mailbox:
    """Puts what comes where a stream finds it, without knowing the stream."""

    def __init__(self, put: Callable[[Delta | Exception | None], object]) -> None:
        self._put = put

    def add(self, delta: Delta) -> None:
        """Puts a delta."""
        self._put(delta)

    def finish(self, error: Exception | None) -> None:
        """Puts the end."""
        self._put(error)
