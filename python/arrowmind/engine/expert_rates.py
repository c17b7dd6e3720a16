"""Which experts of the CPU are worth a copy to the device: by what was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arrowmind.engine.rates import DeviceRates, Rates

__all__ = ["NEVER", "missing_share", "worth_bringing"]

NEVER = 1.0
# Rounds that an expert stays once it is there, at least: what it takes the place of is used less.
_ROUNDS = 64
# Launches of an expert, which a token waits for whatever it weighs.
_LAUNCH_SECONDS = 60e-6
# What is not in the rates; and more than one use in the last rounds.
_WORTH, _LEAST = 1.25, 0.15


def worth_bringing(
    expert_bytes: float, here: Rates | None, there: DeviceRates | None, missing: float = 0.0
) -> float:
    """The share of rounds that must use an expert, so that its copy costs less than it saves; 1: none does.

    Args:
        expert_bytes: of its matrices.
        here: rates of the CPU; None where they were not measured.
        there: rates of the device, likewise.
        missing: share of the bytes that are not in memory when they are used, as `missing_share` says. The
            disk reads while the CPU computes: the slower of both is saved.
    """
    if here is None or there is None or there.bus <= 0:
        return NEVER
    spared = max(expert_bytes / here.memory, missing * expert_bytes / here.disk if missing else 0.0)
    saved = spared - expert_bytes / there.memory - _LAUNCH_SECONDS
    if saved <= 0:
        return NEVER
    share = max(_LEAST, _WORTH * expert_bytes / there.bus / (saved * _ROUNDS))
    return share if share < NEVER else NEVER


def missing_share(sizes: Sequence[int], budget: int) -> float:
    """Share of parts that come and go which is not in memory: what does not fit, less one on its way.

    Args:
        sizes: bytes of each part.
        budget: bytes that they may take.
    """
    if not sizes:
        return 0.0
    kept = max(0, budget - max(sizes))
    return 1 - min(1.0, kept / sum(sizes))
