"""A matrix of its own for each head: against NumPy, at odd places, with any threads."""

from __future__ import annotations

import numpy as np
import pytest
from tests.kernels.rows import assert_same_bits

from arrowmind import _native
from arrowmind.errors import InvalidArgumentError, WeightError
from arrowmind.weights.tensor import float_tensor

SEED = 7
HEADS, N, K, STEP, TO_STEP = 5, 20, 12, 15, 24


def described(matrix, kind):
    tensor = float_tensor("weight", matrix.astype(kind)).for_kernels()
    return {
        **{"type": tensor.spec.quant_type, "shape": tensor.spec.shape, "codes": tensor.codes},
        **dict.fromkeys(("scales", "zero_points", "sums", "bias")),
        "streamed": False,
    }


def plan_of(matrices, columns, kind=np.float32, **places):
    plan = _native.Plan(4, 1, columns)
    read, written = plan.buffer("fp32", 2 + HEADS * STEP), plan.buffer("fp32", columns)
    plan.source(read)
    plan.clear(written, columns)
    options = {"first": 2, "step": STEP, "to": 3, "to_step": TO_STEP, **places}
    plan.linear_heads([described(matrix, kind) for matrix in matrices], read, written, **options)
    plan.result(written)
    plan.finish()
    return plan


@pytest.mark.parametrize("kind", [np.float32, np.float16])
@pytest.mark.parametrize("rows", [1, 3, 70])
def test_each_head_reads_and_writes_its_own_columns(kind, rows):
    chance = np.random.default_rng(SEED)
    matrices = chance.standard_normal((HEADS, N, K)).astype(kind).astype(np.float32)
    x = chance.standard_normal((rows, 2 + HEADS * STEP), dtype=np.float32)
    columns = 3 + HEADS * TO_STEP
    plan = plan_of(matrices, columns, kind)
    found = plan.run_rows(x, _native.ThreadPool(1))
    expected = np.zeros((rows, columns))
    for head, matrix in enumerate(matrices):
        part = x[:, 2 + head * STEP :][:, :K].astype(np.float64)
        expected[:, 3 + head * TO_STEP :][:, :N] = part @ matrix.T.astype(np.float64)
    bound = K * np.finfo(np.float32).eps * np.abs(x).max() * np.abs(matrices).max() * K**0.5
    assert np.abs(found - expected).max() <= bound
    assert_same_bits(plan.run_rows(x, _native.ThreadPool(3)), found)
    assert_same_bits(plan.run_rows(x[:1], _native.ThreadPool(2)), found[:1])


@pytest.mark.parametrize(
    "places",
    [{"first": 6}, {"step": 17}, {"to": 100}, {"to_step": 40}, {"first": -1}, {"step": 1 << 40}],
    ids=str,
)
def test_columns_outside_of_a_buffer_are_refused(places):
    matrices = np.ones((HEADS, N, K), np.float32)
    with pytest.raises(WeightError, match="do not fit a buffer"):
        plan_of(matrices, 3 + HEADS * TO_STEP, **places)


def test_matrices_of_unlike_heads_are_refused():
    unlike = [np.ones((N, K), np.float32), np.ones((N + 1, K), np.float32)]
    with pytest.raises(WeightError, match="of one type and shape"):
        plan_of(unlike, 3 + HEADS * TO_STEP)
    with pytest.raises(InvalidArgumentError, match="there are none"):
        plan_of([], 3 + HEADS * TO_STEP)
