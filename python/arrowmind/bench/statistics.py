"""Few numbers for many: spread, percentiles, ratios of interleaved rounds, rank correlation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["cosines", "latency", "median_ratio", "spearman", "spread"]


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, least and greatest of some values."""
    return {"median": float(np.median(values)), "min": float(min(values)), "max": float(max(values))}


def latency(seconds: Sequence[float]) -> dict[str, float]:
    """Best, p50, p95 and p99 of single calls, in milliseconds."""
    p50, p95, p99 = (1e3 * float(v) for v in np.percentile(seconds, (50, 95, 99)))
    return {"best_ms": 1e3 * min(seconds), "p50_ms": p50, "p95_ms": p95, "p99_ms": p99}


def median_ratio(over: Sequence[float], under: Sequence[float]) -> float:
    """Median of the ratios of two contenders, round by round: what disturbs a round disturbs both."""
    return float(np.median(np.asarray(over) / np.asarray(under)))


def cosines(left: NDArray[Any], right: NDArray[Any]) -> NDArray[np.float64]:
    """Cosine of each pair of rows."""
    a, b = left.astype(np.float64), right.astype(np.float64)
    products: NDArray[np.float64] = (a * b).sum(1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))
    return products


def spearman(left: Sequence[float], right: Sequence[float]) -> float:
    """Rank correlation; equal values share the mean of their ranks."""
    return float(np.corrcoef(_ranks(np.asarray(left)), _ranks(np.asarray(right)))[0, 1])


def _ranks(values: NDArray[Any]) -> NDArray[np.float64]:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: NDArray[np.float64] = (last - (counts - 1) / 2)[inverse]
    return ranks
