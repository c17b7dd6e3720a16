"""Those who wait for tokens on an event loop.

Apart from the others, since `asyncio` brings sockets and OpenSSL along: a twentieth of a second for all who
only want a text, and more where its files are not in memory.
"""

from __future__ import annotations

import asyncio
import weakref
from typing import TYPE_CHECKING

from arrowmind.engine.jobs import Job
from arrowmind.engine.streams import Mailbox

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from arrowmind.generate import Delta, Generation, TokenSequence

__all__ = ["AsyncGenerationStream"]


class AsyncGenerationStream:
    """`GenerationStream` for an event loop, which never waits: others tokenise and compute."""

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
        job = Job(sequence, Mailbox(lambda item: loop.call_soon_threadsafe(mailbox.put_nowait, item)))
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
