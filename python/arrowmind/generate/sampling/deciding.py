"""Whether the highest logits of a row decide which tokens top-p and min-p leave of all of it.

What is left is always the heaviest tokens, of equals the lowest: so it is known when it ends among those that
are there, and before any token that is not there could weigh as much.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from arrowmind.generate.sampling.candidates import MOST_CANDIDATES, CandidateNeed

if TYPE_CHECKING:
    from arrowmind.generate.sampling.parameters import SamplingParameters

__all__ = ["Total", "left_of", "need_of"]

_EXP_ERROR = 1e-5  # many times what the exponential of a smaller number may be larger
_TINY = float(np.finfo(np.float32).tiny)  # below, weights have few bits


class Total(NamedTuple):
    """The sum of the weights of all tokens: within `error` times itself."""

    value: float
    error: float


def need_of(parameters: SamplingParameters, *, is_constrained: bool = False) -> CandidateNeed | None:
    """What decides most choices with these parameters; None where that takes the row.

    Where penalties, biases or a constraint lower logits, those that are not among the highest stay below
    these; by how much the sum over the row falls is not known, so that top-p of all tokens needs the row. So
    does whatever raises a logit.
    """
    told = parameters.logprobs or 0
    if not parameters.only_lowers or told > MOST_CANDIDATES:
        return None
    changes = is_constrained or parameters.changes_logits
    temperatures = () if parameters.logprobs is None else (1.0,)
    if parameters.is_greedy:
        count = max(told, 1)
    elif 0 < parameters.top_k <= MOST_CANDIDATES:
        count = max(told, parameters.top_k)
    elif parameters.top_p < 1 and parameters.top_k == 0 and not changes:
        count = MOST_CANDIDATES
        temperatures = tuple(dict.fromkeys((parameters.temperature, *temperatures)))
    elif parameters.top_p >= 1 and parameters.min_p > 0:
        count = MOST_CANDIDATES
    else:
        return None
    return CandidateNeed(MOST_CANDIDATES if changes else count, temperatures)


def left_of(
    weights: npt.NDArray[np.float32], others: float, top_p: float, min_p: float, total: Total | None
) -> npt.NDArray[np.int64] | None:
    """Indices, ascending, of what top-p, then min-p leave of a row.

    Args:
        weights: float32, of the tokens that are known, by id, the heaviest 1.
        others: No other token weighs more, but for the error of an exponential.
        top_p: As of the sampling parameters; below 1 it needs `total`.
        min_p: As of the sampling parameters.
        total: Of the whole row.

    Returns:
        None where that cannot be told.
    """
    edge = others * (1 + _EXP_ERROR) + _TINY
    order = np.argsort(-weights, kind="stable")
    ordered = weights[order]
    alone = int(np.count_nonzero(ordered > edge))  # so many come before all others for certain
    reach = int(np.count_nonzero(ordered >= np.float32(min_p)))
    is_cut = edge < np.float32(min_p)  # none of the others reaches it; else all do that come before them
    least, most = _nucleus(ordered, top_p, total)
    if is_cut and reach <= least:
        count = reach
    elif least == most:
        count = least
    else:
        return None
    return np.sort(order[:count]) if count <= alone else None


def _nucleus(ordered: npt.NDArray[np.float32], top_p: float, total: Total | None) -> tuple[int, int]:
    """Bounds of how many of the heaviest reach top-p; one more than there are stands for any number."""
    beyond = len(ordered) + 1
    if top_p >= 1:
        return beyond, beyond
    if total is None:
        return 1, beyond
    sums = np.cumsum(ordered.astype(np.float64))
    mass = top_p * total.value
    bounds = np.searchsorted(sums, [mass * (1 - total.error), mass * (1 + total.error)])
    return int(bounds[0]) + 1, int(bounds[1]) + 1
