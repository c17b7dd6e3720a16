"""Operators that move columns of rows: copies of pieces, zeros, and gates on whole rows."""

from __future__ import annotations

import numpy as np
import pytest

from arrowmind import _native
from arrowmind.errors import InvalidArgumentError, WeightError

SEED = 19


def plan_of(columns: int, output: int) -> tuple[_native.Plan, int, int]:
    plan = _native.Plan(1, 1, output)
    source, result = plan.buffer("fp32", columns), plan.buffer("fp32", output)
    plan.source(source)
    return plan, source, result


def run(plan: _native.Plan, result: int, x: np.ndarray, threads: int = 1) -> np.ndarray:
    plan.result(result)
    plan.finish()
    return plan.run_rows(x, _native.ThreadPool(threads))


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("rows", [1, 200])
def test_pieces_go_to_their_places(rows, threads):
    x = np.random.default_rng(SEED).normal(0, 1, (rows, 11)).astype(np.float32)
    plan, source, result = plan_of(11, 15)
    plan.copy(source, result, 2, 3, first=1, step=4, to=0, to_step=5)
    plan.copy(source, result, 1, 3, first=10, to=2, to_step=5)
    plan.clear(result, 2, 3, to=3, to_step=5)
    expected = np.zeros((rows, 3, 5), np.float32)
    for piece in range(3):
        expected[:, piece, :2] = x[:, 1 + 4 * piece : 3 + 4 * piece]
        expected[:, piece, 2] = x[:, 10]
    assert np.array_equal(run(plan, result, x, threads), expected.reshape(rows, 15))


@pytest.mark.parametrize(
    "change",
    [
        {"width": 0},
        {"width": 12},
        {"count": 0},
        {"count": 3, "step": 5},
        {"first": -1},
        {"first": 10},
        {"step": -1, "count": 2},
        {"to": 14},
        {"to_step": 9, "count": 3},
        {"count": 1 << 40, "step": 1 << 40},
        {"first": (1 << 63) - 1},
    ],
    ids=str,
)
def test_pieces_that_do_not_fit(change):
    plan, source, result = plan_of(11, 15)
    with pytest.raises(WeightError, match="do not fit a buffer"):
        plan.copy(source, result, **({"width": 2} | change))
    with pytest.raises(WeightError, match="do not fit a buffer"):
        plan.clear(result, 2, 2, to=13, to_step=1)


def test_a_gate_on_whole_rows():
    x = np.random.default_rng(SEED).normal(0, 3, (5, 4)).astype(np.float32)
    plan, source, result = plan_of(4, 4)
    logit, route = plan.buffer("fp32", 1), plan.buffer("fp32", 2)
    plan.copy(source, logit, 1, first=2)
    plan.copy(source, result, 4)
    plan.route(logit, route, 1, score="sigmoid")
    plan.row_scale(route, result)
    gates = 1 / (1 + np.exp(-x[:, 2:3].astype(np.float64)))
    assert np.allclose(run(plan, result, x), x * gates, rtol=1e-6)


def test_gates_that_cannot_be():
    plan, source, result = plan_of(4, 4)
    with pytest.raises(InvalidArgumentError, match="row scale"):
        plan.row_scale(source, result)
    with pytest.raises(InvalidArgumentError, match="router output"):
        plan.route(source, result, 1)
    with pytest.raises(InvalidArgumentError, match="router bias"):
        plan.route(source, result, 2, bias=np.zeros(5, np.float32))


def test_experts_that_no_one_has():
    plan, source, result = plan_of(4, 4)
    with pytest.raises(InvalidArgumentError, match="no experts"):
        plan.experts([], source, source, result)


def test_rows_sent_to_an_expert_that_is_not_there():
    """Numbers of experts come from a router; a plan that feeds others fails, and does not read beyond."""
    matrix = np.ones((4, 4), np.float32)
    described = {"type": "fp32", "shape": (4, 4), "codes": _native.qmatmul_pack("fp32", matrix)}
    described |= dict.fromkeys(("scales", "zero_points", "sums", "bias"))
    plan, source, result = plan_of(4, 4)
    plan.experts([(described,) * 3] * 2, source, source, result)
    plan.result(result)
    plan.finish()
    for number in (2.0, -1.0, 1e30, np.nan):
        with pytest.raises(InvalidArgumentError, match="sent to expert"):
            plan.run_rows(np.array([[0, number, 0.5, 0.5]], np.float32), _native.ThreadPool(1))
