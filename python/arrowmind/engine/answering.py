"""The answer of a reader, piece by piece."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arrowmind.generate import decode

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from types import TracebackType

    from arrowmind.generate import Decoder, Delta, Generation, TokenSequence

__all__ = ["ReadingStream"]


class ReadingStream:
    """The deltas of an answer: an iterator, and a context that ends it. Each is computed when asked for."""

    def __init__(
        self,
        sequence: TokenSequence,
        decoder: Decoder,
        lock: threading.RLock,
        done: Callable[[], None],
    ) -> None:
        """Computes nothing yet.

        Args:
            sequence: What is generated.
            decoder: Runs the model.
            lock: Held while it does.
            done: Called once, at the end.
        """
        self._sequence, self._lock, self._done = sequence, lock, done
        self._deltas = decode(sequence, decoder)
        self.has_ended = False

    @property
    def generation(self) -> Generation:
        """The whole; before its end, what there is so far, with `finish_reason` None."""
        return self._sequence.result()

    def close(self) -> None:
        """Ends the answer; there are no more deltas."""
        with self._lock:
            if not self.has_ended:
                self.has_ended = True
                self._done()

    def __iter__(self) -> ReadingStream:
        return self

    def __next__(self) -> Delta:
        with self._lock:
            if self.has_ended:
                raise StopIteration
            try:
                return next(self._deltas)
            except BaseException:  # its end, an error, Ctrl-C
                self.close()
                raise

    def __enter__(self) -> ReadingStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
