"""Hashing weights in the background while a model is compiled over them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

    from arrowmind import _native
    from arrowmind.observe import Progress
    from arrowmind.weights import WeightSource

__all__ = ["BackgroundTouch"]

_TOLD_EVERY = 0.05
"""Seconds between two looks at how far it is, once nothing else is left to do."""


class _EndedError(Exception):
    """Nobody waits for the weights any more."""


class BackgroundTouch:
    """`WeightSource.touch` beside the body of a `with`, whose end waits for it.

    Who asks for a tensor meanwhile waits for its part alone, and hashes what nobody has begun. Whoever leaves
    the body by an exception waits only until the part that is being read is done. Progress is told on the
    thread of the body.
    """

    def __init__(self, weights: WeightSource, pool: _native.ThreadPool, progress: Progress) -> None:
        """Does nothing yet.

        Args:
            weights: what to hash.
            pool: threads to use.
            progress: called with bytes, whenever the body tells how far it is, and at the end.
        """
        self._weights, self._pool, self._told = weights, pool, progress
        self._thread = threading.Thread(target=self._run, name="touch-weights", daemon=True)
        self._ended = threading.Event()
        self._news: tuple[int, int, str] | None = None
        self._failure: BaseException | None = None

    def progress(self, done: int, total: int, what: str) -> None:
        """How far the body is: told behind how far the weights are."""
        self._tell()
        self._told(done, total, what)

    def __enter__(self) -> BackgroundTouch:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            while kind is None and self._thread.is_alive():
                self._thread.join(_TOLD_EVERY)
                self._tell()
        finally:
            self._ended.set()
            self._thread.join()
        if kind is None:
            if self._failure is not None:
                raise self._failure
            self._tell()

    def _run(self) -> None:
        try:
            self._weights.touch(self._pool, self._hear)
        except _EndedError:
            pass
        except BaseException as failure:  # told where the body ends
            self._failure = failure

    def _hear(self, done: int, total: int, what: str) -> None:
        if self._ended.is_set():
            raise _EndedError
        self._news = (done, total, what)

    def _tell(self) -> None:
        news, self._news = self._news, None
        if news is not None:
            self._told(*news)
