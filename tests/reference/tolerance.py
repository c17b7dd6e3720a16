"""Error bounds of float32 arithmetic, from which kernel tests build their tolerances."""

from __future__ import annotations

# Relative error of one correctly rounded float32 operation.
UNIT = 2.0**-24


def lane_sum_steps(width: int) -> int:
    """Roundings an element meets in a sum over 64 lanes folded in a tree (kernels/simd/sum.h)."""
    return -(-width // 64) + 6
