"""Int8 codes bound together: their positive ones add up to 128 at most, their negative ones to -128 at least.

Products with bytes 0..255 then sum in 16 bits, 255 * 128 = 32640 < 2^15, and instructions that multiply
unsigned by signed bytes and add neighbours never saturate:

- pairs, inputs 2i and 2i + 1: what one instruction adds;
- fours, inputs 8i, 8i + 1, 8i + 4, 8i + 5 and the other four of 8i to 8i + 7: two results of the same place
  in neighbouring fours of k add up before they are widened.

Functions here take columns with those bound together side by side: `side_by_side` says in which order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]

__all__ = ["BOUND", "is_bound", "round_bound", "side_by_side", "snap_bound", "sums"]

BOUND = 128
_MAX = 127
_EIGHT = np.array([0, 1, 4, 5, 2, 3, 6, 7])
_ATTEMPTS = 4
_TINY = np.float32(1e-30)


def side_by_side(k: int, together: int) -> npt.NDArray[np.intp]:
    """Columns 0..k-1 in an order that has those bound ``together`` side by side, from a multiple of it on.

    Of fours up to seven last columns stay where they are, and are bound more than they need to be.
    """
    if together != 4:
        return np.arange(k)
    whole = k // len(_EIGHT) * len(_EIGHT)
    eights = np.arange(0, whole, len(_EIGHT))[:, None] + _EIGHT
    return np.concatenate([eights.reshape(-1), np.arange(whole, k)])


def sums(codes: Floats) -> tuple[Floats, Floats]:
    """Sum of the positive codes, and sum of the negative ones, along the first axis."""
    return np.maximum(codes, 0).sum(axis=0), np.minimum(codes, 0).sum(axis=0)


def is_bound(codes: Floats, together: int) -> bool:
    """Whether codes [k, n], columns as a matrix has them, keep the bound."""
    ordered = codes[side_by_side(len(codes), together)]
    return not any(_beyond(ordered[i : i + together]).size for i in range(0, len(codes), together))


def snap_bound(values: Floats, weight: Floats, together: int) -> Floats:
    """Codes of all columns, without feedback.

    Args:
        values: float32 [k, n] in units of the scale.
        weight: [k] of each column's squared error.
        together: columns that are bound together.

    Returns:
        Codes, float32 [k, n].
    """
    codes = np.clip(np.rint(values), -_MAX, _MAX)
    whole = len(values) // together * together
    groups = codes[:whole].reshape(-1, together, codes.shape[1])
    at, row = np.nonzero(np.maximum(*map(np.abs, sums(groups.swapaxes(0, 1)))) > BOUND)
    if len(at):
        columns = at * together + np.arange(together)[:, None]
        u = np.zeros((together, together, len(at)), np.float32)
        u[np.arange(together), np.arange(together)] = weight[columns] ** -0.5
        codes[columns, row] = _within(values[columns, row], u)
    if whole < len(values):
        codes[whole:] = round_bound(values[whole:], np.diag(weight[whole:] ** -0.5))
    return codes


def round_bound(values: Floats, u: Floats) -> Floats:
    """Codes of columns that are bound together, for little cost with feedback.

    Args:
        values: float32 [columns, n], in units of the scale.
        u: [columns, columns], part of the feedback's factor.

    Returns:
        Codes, float32 [columns, n].
    """
    codes = _in_turn(values, u[:, :, None])
    beyond = _beyond(codes)
    if beyond.size:
        codes[:, beyond] = _within(values[:, beyond], u[:, :, None])
    return codes


def _beyond(codes: Floats) -> npt.NDArray[np.intp]:
    positive, negative = sums(codes)
    return np.flatnonzero(np.maximum(positive, -negative) > BOUND)


def _in_turn(values: Floats, u: Floats, *, bound: bool = False) -> Floats:
    """Rounds column by column, each error handed on; ``bound``: each into what those before it left."""
    work, codes = values.copy(), np.empty_like(values)
    low = np.full(values.shape[1], -BOUND if bound else -_MAX, np.float32)
    high = -low
    for i, wanted in enumerate(work):
        found = np.clip(np.rint(wanted), np.maximum(low, -_MAX), np.minimum(high, _MAX))
        codes[i] = found
        work[i + 1 :] -= u[i, i + 1 :] * ((wanted - found) / u[i, i])
        if bound:
            low -= np.minimum(found, 0)
            high -= np.maximum(found, 0)
    return codes


def _within(values: Floats, u: Floats) -> Floats:
    """Codes within the bound near where the error is least: values are moved onto the planes that bound them.

    On the plane where some columns add up to the bound, U^T U m is the direction of least cost (m: 1 for
    those columns). What rounding adds is taken off the next time; the cheapest of all attempts is kept.

    Args:
        values: float32 [columns, n], in units of the scale.
        u: [columns, columns, n or 1], the factor of each.
    """
    spread = np.einsum("abn,acn->bcn", u, u)
    target = values.copy()
    best, codes = np.full(values.shape[1], np.inf, np.float32), np.zeros_like(values)
    for _ in range(_ATTEMPTS):
        offered = _in_turn(target, u, bound=True)
        cost = _cost(values - offered, u)
        better = cost < best
        best, codes = np.where(better, cost, best), np.where(better, offered, codes)
        free = _in_turn(target, u)
        for sign, total in zip((1, -1), sums(free), strict=True):
            excess = np.maximum(sign * total - BOUND, 0)
            members = (free * sign > 0).astype(np.float32)
            move = (spread * members).sum(axis=1)
            target -= sign * move * (excess / np.maximum((members * move).sum(axis=0), _TINY))
    return codes


def _cost(error: Floats, u: Floats) -> Floats:
    """What errors of the columns cost when each is handed on to those behind it, float32 [n]."""
    work, cost = error.copy(), np.zeros(error.shape[1], np.float32)
    for i in range(len(work)):
        own = work[i] / u[i, i]
        cost += own * own
        work[i + 1 :] -= u[i, i + 1 :] * own
    return cost
