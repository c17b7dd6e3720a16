"""What the precision check measures: one entry per figure, with how it is found and what it must reach.

A new figure is an entry of :data:`MEASURES`, a field of the same name in ``Thresholds`` and
``PrecisionReport``, and a key of the same name in the section ``precision`` of the settings; tests hold them
together. Some are for models that make one vector of a text, the others for language models.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind.frozen import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from arrowmind.quantize.foretelling import Foretold

__all__ = [
    "EMBEDDING",
    "LANGUAGE",
    "MEASURES",
    "NEIGHBOURS",
    "Measure",
    "Vectors",
    "cosines",
    "overlap",
]

NEIGHBOURS = 10
"""Texts that a search returns."""


@dataclass(frozen=True)
class Vectors:
    """What two models made of the same texts.

    Attributes:
        reference: of the original, [texts, dimension].
        candidate: of the model to judge, the same rows.
        count: the first so many texts are those of the check; the others only stand around them in a search.
    """

    reference: npt.NDArray[Any]
    candidate: npt.NDArray[Any]
    count: int


@dataclass(frozen=True)
class Measure:
    """One figure of the check.

    Attributes:
        name: of the figure in reports, thresholds and settings.
        title: for people.
        find: the figure, of `Vectors` or of `Foretold`; None when there is too little to measure it on.
        bound: what it must keep where nobody says otherwise.
        at_most: whether it must not be above it; else not below.
    """

    name: str
    title: str
    find: Callable[[Any], float | None]
    bound: float
    at_most: bool = False

    def accepts(self, value: float, bound: float) -> bool:
        """Whether a figure keeps a bound."""
        return value <= bound if self.at_most else value >= bound

    def demand(self, bound: object) -> str:
        """The bound in words."""
        return f"at {'most' if self.at_most else 'least'} {bound}"


def cosines(vectors: Vectors) -> npt.NDArray[np.float64]:
    """Cosine of both vectors of each text of the check; -1 for a NaN, a zero vector, or another shape."""
    left, right = vectors.reference, vectors.candidate
    if left.shape != right.shape or left.ndim != 2:
        return np.full(max(1, vectors.count), -1.0)
    a, b = (side[: vectors.count].astype(np.float64) for side in (left, right))
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = (a * b).sum(axis=1) / norms
    return np.where(np.isfinite(found), found, -1.0)


def overlap(vectors: Vectors, neighbours: int = NEIGHBOURS) -> float | None:
    """Share of the nearest texts that both models agree on, mean over the texts of the check.

    Args:
        vectors: texts are searched among all the others.
        neighbours: how many nearest ones.

    Returns:
        0 to 1; None when there are no more texts than a search returns, for then all agree.
    """
    if vectors.reference.ndim != 2 or vectors.candidate.ndim != 2:
        return 0.0
    if not len(vectors.reference) == len(vectors.candidate) > neighbours + 1:
        return None
    pairs = zip(*(_nearest(side, vectors.count, neighbours) for side in _sides(vectors)), strict=True)
    return float(np.mean([len(np.intersect1d(left, right)) / neighbours for left, right in pairs]))


def _sides(vectors: Vectors) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    return vectors.reference, vectors.candidate


def _nearest(side: npt.NDArray[Any], count: int, neighbours: int) -> npt.NDArray[np.intp]:
    """Indices of the rows nearest to each of the first ``count``, without itself: [count, neighbours]."""
    rows = np.nan_to_num(side.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.finfo(np.float64).tiny)
    # Rounded, so that texts at the same distance keep their order whatever the last bits say.
    similar = np.round(rows[:count] @ rows.T, 12)
    similar[np.arange(count), np.arange(count)] = -np.inf
    return np.argsort(-similar, axis=1, kind="stable")[:, :neighbours]


def _ratio(told: Foretold) -> float:
    original, judged = told.perplexities
    return judged / original


def _high(values: npt.NDArray[np.float64]) -> float:
    """What all but a hundredth stay below."""
    return float(np.quantile(values, 0.99))


# Thresholds stand a little below what INT8 reaches on all-MiniLM-L6-v2: 0.99941, 0.9975 and 0.978.
EMBEDDING = (
    Measure("cosine_mean", "cosine mean", lambda vectors: float(cosines(vectors).mean()), 0.999),
    Measure("cosine_min", "cosine smallest", lambda vectors: float(cosines(vectors).min()), 0.997),
    Measure("overlap_at_10", "overlap at 10", overlap, 0.95),
)
"""Of models that make one vector of a text."""

LANGUAGE = (
    Measure("perplexity_ratio", "perplexity ratio", _ratio, 1.01, at_most=True),
    Measure("kl_mean", "divergence mean", lambda told: float(told.divergence.mean()), 0.01, at_most=True),
    Measure("kl_99", "divergence 99 %", lambda told: _high(told.divergence), 0.1, at_most=True),
    Measure("top1_agreement", "top-1 agreement", lambda told: float(told.agree.mean()), 0.95),
    Measure("generation_agreement", "generation", lambda told: told.generated, 0.9),
)
"""Of language models; see :class:`arrowmind.quantize.foretelling.Foretold`."""

MEASURES = EMBEDDING + LANGUAGE
