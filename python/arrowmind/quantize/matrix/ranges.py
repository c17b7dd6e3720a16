"""Scales and zero points to try for groups of columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from arrowmind.quantize.matrix.bound import snap_bound

if TYPE_CHECKING:
    import numpy.typing as npt

    from arrowmind.quantize.matrix.rounding import Levels
    from arrowmind.quantize.matrix.storage import ScaleStore

    Floats = npt.NDArray[np.float32]

__all__ = ["candidates", "refit", "search"]

_SMALLEST = np.float32(1e-12)
_SHRINK = {
    8: (1.0, 0.995, 0.985, 0.97, 0.95, 0.92, 0.88),
    4: (1.0, 0.95, 0.9, 0.85, 0.8, 0.72, 0.64),
    2: (1.0, 0.88, 0.76, 0.66, 0.56, 0.46),
}

# The nearest power of 2 may be a third too small and cut off what stands out: wider ones are tried, too.
_POWERS = (2.0, 1.5, 1.0, 0.7, 0.5)
_BOUND = (1.9, 1.75, 1.6, 1.5, 1.4, 1.3, 1.2, 1.1, 1.0, 0.9)


def candidates(
    group: Floats, levels: Levels, store: ScaleStore, *, together: int = 1
) -> tuple[Floats, Floats]:
    """Scales and zero points whose ranges cover all of a group's values, or less and less of them.

    Args:
        group: float32 [columns, n].
        levels: of the grid.
        store: says how wide codes are, and whether there are zero points.
        together: columns whose codes are bound together, which wants larger scales.

    Returns:
        Scales and zero points [tried, n], not yet rounded to what can be stored.
    """
    low = np.minimum(group.min(axis=0), 0)
    high = np.maximum(group.max(axis=0), 0)
    shrink = _POWERS if store.grid.scale_type == "e8m0" else _SHRINK[store.grid.bits]
    if together > 1:
        shrink = _BOUND
    if not store.grid.zero_points:
        span = np.maximum(-low / -levels.low, high / levels.high)
        scales = np.stack([span * np.float32(ratio) for ratio in shrink])
        return np.maximum(scales, _SMALLEST), np.zeros_like(scales)
    ends = [(a, b) for a in shrink for b in shrink if abs(shrink.index(a) - shrink.index(b)) <= 2]
    lows = np.stack([low * np.float32(a) for a, _ in ends])
    highs = np.stack([high * np.float32(b) for _, b in ends])
    scales = np.maximum((highs - lows) / np.float32(levels.span), _SMALLEST)
    return scales, np.float32(levels.low) - lows / scales


def refit(
    group: Floats, levels: Floats, weight: Floats, zeros: Floats, *, moving: bool
) -> tuple[Floats, Floats]:
    """Scale and zero point of least squares for given levels.

    Args:
        group: float32 [columns, m].
        levels: float32 [columns, m].
        weight: [columns] of each column's squared error, or [columns, m].
        zeros: [m], kept where ``moving`` is false.
        moving: fit zero points, too.

    Returns:
        Scales and zero points [m]; those given back unchanged have a scale of 0.
    """
    w = weight if weight.ndim == 2 else weight[:, None]
    if not moving:
        x = levels - zeros
        power = (w * x * x).sum(axis=0)
        return (w * x * group).sum(axis=0) / np.maximum(power, _SMALLEST), zeros
    total = w.sum(axis=0)
    mean_x, mean_y = (w * levels).sum(axis=0) / total, (w * group).sum(axis=0) / total
    x, y = levels - mean_x, group - mean_y
    power = (w * x * x).sum(axis=0)
    scales = (w * x * y).sum(axis=0) / np.maximum(power, _SMALLEST)
    with np.errstate(divide="ignore", invalid="ignore"):
        moved = mean_x - mean_y / scales
    good = (scales > 0) & np.isfinite(moved)
    return np.where(good, scales, 0), np.where(good, moved, zeros)


def search(
    group: Floats, levels: Levels, store: ScaleStore, weight: Floats, *, steps: int = 2, together: int = 1
) -> tuple[Floats, Floats]:
    """The best scales and zero points when columns are rounded one by one.

    Args:
        group: float32 [columns, n].
        levels: of the grid.
        store: rounds what is tried.
        weight: [columns] of each column's squared error, or [columns, n] where codes are free.
        steps: of least squares between levels and parameters, from the best range on.
        together: columns whose codes are bound together, side by side.

    Returns:
        Scales and zero points [n].
    """
    tried, tried_zeros = candidates(group, levels, store, together=together)
    best = np.full(group.shape[1], np.inf, dtype=np.float32)
    scales, zeros = tried[0], tried_zeros[0]
    each = weight if weight.ndim == 2 else weight[:, None]

    def snap(s: Floats, z: Floats) -> Floats:
        return snap_bound(group / s, weight, together) if together > 1 else levels.snap(group / s + z)

    def offer(s: Floats, z: Floats) -> None:
        nonlocal best, scales, zeros
        s, z = store.nearest(s[:, None])[:, 0], store.nearest_zeros(z)
        error = (each * ((snap(s, z) - z) * s - group) ** 2).sum(axis=0)
        better = error < best
        best, scales, zeros = (
            np.where(better, new, old) for new, old in ((error, best), (s, scales), (z, zeros))
        )

    for s, z in zip(tried, tried_zeros, strict=True):
        offer(s, z)
    for _ in range(steps):
        s, z = refit(group, snap(scales, zeros), weight, zeros, moving=store.grid.zero_points)
        good = s > 0
        offer(np.where(good, s, scales), np.where(good, z, zeros))
    return scales, zeros
