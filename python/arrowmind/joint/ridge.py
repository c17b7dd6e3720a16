"""The linear map from one space to another that pairs of vectors suggest, in closed form.

Source: Hoerl and Kennard, Ridge Regression (1970); the penalty is chosen by folds of held-out pairs. Both
sides are centred: vectors of different encoders lie in cones of their own, and what is common to all of them
says nothing about a pair.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float32]
    Wide = npt.NDArray[np.float64]

__all__ = ["LinearMap", "fit_map"]

LEAST_PAIRS = 8
"""Below this many pairs nothing is fitted."""
_FOLDS = 5
_PENALTIES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
"""Times the mean square of a centred coordinate and the number of pairs."""
_MOST_PAIRS = 20_000
"""Of more pairs, so many at equal distances are taken: the map has some hundred thousand numbers."""


@dataclass(frozen=True)
class LinearMap:
    """A map from one space to another.

    Attributes:
        source_mean: float32 [d1].
        target_mean: float32 [d2].
        matrix: float32 [d1, d2].
        reliability: mean cosine of mapped and true vectors of held-out pairs, both centred; 0 to 1.
        pairs: it was fitted on.
    """

    source_mean: FloatArray
    target_mean: FloatArray
    matrix: FloatArray
    reliability: float
    pairs: int

    def centred(self, vectors: FloatArray) -> FloatArray:
        """Vectors [n, d1] as directions about the mean of the target space, [n, d2], of length 1 or 0."""
        mapped = (vectors - self.source_mean) @ self.matrix
        return _normalised(mapped).astype(np.float32)

    def __call__(self, vectors: FloatArray) -> FloatArray:
        """Vectors [n, d1] as those of the target space whose cosine tells the likeness, [n, d2], of length 1.

        Compared with what lies about a mean, the mean itself would only move all cosines alike.
        """
        return self.centred(vectors)


def fit_map(source: FloatArray, target: FloatArray) -> LinearMap | None:
    """The map that brings ``source`` nearest to ``target`` on pairs it has not seen; None for too few pairs.

    Args:
        source: float32 [n, d1].
        target: float32 [n, d2], row by row what belongs to it.
    """
    if len(source) < LEAST_PAIRS:
        return None
    if len(source) > _MOST_PAIRS:
        chosen = np.linspace(0, len(source) - 1, _MOST_PAIRS).astype(np.int64)
        source, target = source[chosen], target[chosen]
    wide_source, wide_target = source.astype(np.float64), target.astype(np.float64)
    scores = _held_out(wide_source, wide_target)
    best = int(np.argmax(scores))
    source_mean, target_mean = wide_source.mean(0), wide_target.mean(0)
    matrix = _Solution.of(wide_source - source_mean, wide_target - target_mean).matrix(_PENALTIES[best])
    return LinearMap(
        source_mean.astype(np.float32),
        target_mean.astype(np.float32),
        matrix.astype(np.float32),
        float(np.clip(scores[best], 0.0, 1.0)),
        len(source),
    )


def _held_out(source: Wide, target: Wide) -> Wide:
    """Mean cosine of mapped and true vectors of the folds, by penalty."""
    fold = np.arange(len(source)) % _FOLDS
    scores = np.zeros(len(_PENALTIES))
    for number in range(_FOLDS):
        inside, outside = fold != number, fold == number
        source_mean, target_mean = source[inside].mean(0), target[inside].mean(0)
        wanted = _normalised(target[outside] - target_mean)
        solution = _Solution.of(source[inside] - source_mean, target[inside] - target_mean)
        for place, penalty in enumerate(_PENALTIES):
            found = _normalised(solution.apply(source[outside] - source_mean, penalty))
            scores[place] += float((found * wanted).sum()) / len(source)
    return scores


@dataclass(frozen=True)
class _Solution:
    """Ridge solutions for all penalties, from one decomposition of whichever Gram matrix is smaller.

    Attributes:
        values: eigenvalues of the Gram matrix.
        basis: [d1, k], what a source vector is projected on.
        rotated: [k, d2], targets in that basis.
        scale: of penalties.
    """

    values: Wide
    basis: Wide
    rotated: Wide
    scale: float

    @classmethod
    def of(cls, source: Wide, target: Wide) -> _Solution:
        """Of centred pairs."""
        scale = len(source) * max(float((source**2).mean()), 1e-12)
        if len(source) <= source.shape[1]:
            values, vectors = np.linalg.eigh(source @ source.T)
            return cls(values, source.T @ vectors, vectors.T @ target, scale)
        values, vectors = np.linalg.eigh(source.T @ source)
        return cls(values, vectors, vectors.T @ (source.T @ target), scale)

    def apply(self, source: Wide, penalty: float) -> Wide:
        """Maps centred vectors [n, d1] to [n, d2]; never makes the matrix [d1, d2]."""
        found: Wide = ((source @ self.basis) / (self.values + penalty * self.scale)) @ self.rotated
        return found

    def matrix(self, penalty: float) -> Wide:
        """The map itself, [d1, d2]."""
        found: Wide = (self.basis / (self.values + penalty * self.scale)) @ self.rotated
        return found


def _normalised(vectors: Wide) -> Wide:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    result: Wide = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 1e-12)
    return result
