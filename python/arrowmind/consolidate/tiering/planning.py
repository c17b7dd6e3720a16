"""From worth and bounds to moves: only as many as needed, the least worth first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from arrowmind.consolidate.records import Tier
from arrowmind.errors import ConfigurationError

if TYPE_CHECKING:
    import numpy.typing as npt

    from arrowmind.consolidate.tiering.columns import MemoryColumns
    from arrowmind.consolidate.tiering.policies import Policy

__all__ = ["TierLimits", "plan_tiers"]

_DAY = 86_400 * 1_000_000


@dataclass(frozen=True)
class TierLimits:
    """Bounds of the tiers.

    Attributes:
        hot_bytes: of hot and warm memories together; 0 for no bound.
        hot_share: of these bytes that are hot, the others are warm.
        cold_days: a memory not recalled for so long becomes cold; 0 never.
        archive_days: a cold one not recalled for so long is archived; 0 never.
    """

    hot_bytes: int = 0
    hot_share: float = 0.5
    cold_days: float = 0.0
    archive_days: float = 0.0

    @property
    def are_set(self) -> bool:
        """Whether there is any bound."""
        return bool(self.hot_bytes or self.cold_days or self.archive_days)

    def __post_init__(self) -> None:
        if not 0 <= self.hot_share <= 1:
            raise ConfigurationError(f"hot_share={self.hot_share}: give a share from 0 to 1")
        if self.archive_days and self.archive_days < self.cold_days:
            raise ConfigurationError(
                f"archive_days={self.archive_days}: must not be less than cold_days={self.cold_days}"
            )


def plan_tiers(columns: MemoryColumns, policy: Policy, limits: TierLimits, now: int) -> dict[int, Tier]:
    """The tier of each memory that moves, by id.

    Memories only get colder here; recall brings them back. Equal worth is decided by the id: the older goes.
    """
    if not len(columns):
        return {}
    wanted = columns.tiers.astype(np.int64)
    idle = now - columns.last_access
    if limits.cold_days:
        wanted[idle >= limits.cold_days * _DAY] = np.maximum(wanted, Tier.COLD)[
            idle >= limits.cold_days * _DAY
        ]
    if limits.archive_days:
        wanted[(idle >= limits.archive_days * _DAY) & (wanted >= Tier.COLD)] = Tier.ARCHIVED
    if limits.hot_bytes:
        _fit(wanted, columns, policy(columns, now), limits)
    moved = np.flatnonzero(wanted != columns.tiers)
    return {int(columns.ids[row]): Tier(int(wanted[row])) for row in moved}


def _fit(
    wanted: npt.NDArray[np.int64],
    columns: MemoryColumns,
    scores: npt.NDArray[np.float64],
    limits: TierLimits,
) -> None:
    """Makes the least worthy cold until the rest fits, and the less worthy of the rest warm."""
    near = np.flatnonzero(wanted < Tier.COLD)
    best = near[np.lexsort((-columns.ids[near], -scores[near]))]
    ends = np.cumsum(columns.bytes[best])
    wanted[best[ends > limits.hot_bytes]] = Tier.COLD
    is_warm = (ends <= limits.hot_bytes) & (ends > limits.hot_share * limits.hot_bytes)
    wanted[best[is_warm]] = np.maximum(wanted[best[is_warm]], Tier.WARM)
