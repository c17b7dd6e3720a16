"""How busy a generator is."""

from __future__ import annotations

from arrowmind.frozen import dataclass

__all__ = ["WorkerState"]


@dataclass(frozen=True)
class WorkerState:
    """How busy a generator is.

    Attributes:
        running: Texts that are being generated.
        waiting: Texts that wait.
        accepts: Whether another one may wait.
    """

    running: int
    waiting: int
    accepts: bool
