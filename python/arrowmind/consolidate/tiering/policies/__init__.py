"""What is worth keeping close at hand, one file each.

A module gives ``scores(columns, now) -> float64 [n]``, finite; memories with the lowest go first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from arrowmind.consolidate import registry
from arrowmind.errors import ConsolidationError

if TYPE_CHECKING:
    import numpy.typing as npt

    from arrowmind.consolidate.tiering.columns import MemoryColumns

__all__ = ["Policy", "open_policy", "policy_names"]


class Policy(Protocol):
    """Weighs memories against each other."""

    def __call__(self, columns: MemoryColumns, now: int) -> npt.NDArray[np.float64]:
        """The worth of each memory at a moment, microseconds."""


def policy_names() -> list[str]:
    """The policies there are."""
    return registry.names(__name__)


def open_policy(name: str) -> Policy:
    """A policy.

    Raises:
        ConfigurationError: the name is unknown.
    """
    module = registry.load(__name__, name, "consolidation.policy")

    def checked(columns: MemoryColumns, now: int) -> npt.NDArray[np.float64]:
        scores = np.asarray(module.scores(columns, now), dtype=np.float64)
        if scores.shape != (len(columns),) or not np.isfinite(scores).all():
            raise ConsolidationError(
                f"policy {name}: gave {scores.shape} values for {len(columns)} memories, or some that are no "
                "number; correct it"
            )
        return scores

    return checked
