"""A linear layer by itself gives the bits of a plan with this layer, for any rows and threads."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from tests.reference.grid import random_codes

from arrowmind import _native
from arrowmind.errors import InvalidArgumentError, WeightError
from arrowmind.weights.formats import Grid
from arrowmind.weights.tensor import float_tensor, grid_tensor, int8_tensor

ROWS = (1, 2, 31, 64, 65, 130, 600)  # around the sizes at which work is split another way
GRIDS = [
    Grid("int8", 32, "fp16"),
    Grid("int4", 32, "fp16", zero_points=True),
    Grid("int2", 16, "u8", zero_points=True),
    Grid("fp4", 16, "e4m3"),
    Grid("int4", 0, "fp32"),
]
N, K = 77, 100


def tensors(rng, n=N, k=K):
    matrix = rng.standard_normal((n, k)).astype(np.float32)
    codes = rng.integers(-127, 128, (n, k)).astype(np.int8)
    scales = rng.uniform(0.001, 0.01, n).astype(np.float32)
    zeros = rng.integers(-127, 128, n).astype(np.float32)
    for activation in ("fp32", "int16", "int8"):
        yield int8_tensor("a.weight", codes, scales, zeros, activation=activation)
    yield int8_tensor("a.weight", codes // 2, scales, activation="int8")  # bounded in pairs
    for grid in GRIDS:
        for activation in ("fp32", "int8"):
            yield grid_tensor("a.weight", random_codes(rng, grid, n, k), activation=activation)
    for dtype in (np.float32, np.float16):
        yield float_tensor("a.weight", matrix.astype(dtype)).for_kernels()


def described(tensor, bias):
    spec = tensor.spec
    layer = {
        "type": spec.quant_type,
        "shape": spec.shape,
        "codes": tensor.codes,
        "scales": tensor.scales,
        "zero_points": tensor.zero_points,
        "sums": tensor.sums,
        "bias": bias,
    }
    if spec.grid is None:
        return layer, spec.activation
    more = {"group": spec.group_size, "scale_type": spec.scale_type, "outer": tensor.outer_scales}
    return layer | more, "int8-block" if spec.activation == "int8" else "fp32"


def by_plan(layer, activation, x, multiplier):
    """The layer in a plan over sequences of one token each, whose embeddings are the rows."""
    n, k = layer["shape"]
    plan = _native.Plan(len(x), 1, n)
    rows, out = plan.buffer("fp32", k), plan.buffer("fp32", n)
    table = {"type": "fp32", "scales": None, "zero_points": None}
    plan.embed(
        rows,
        {**table, "shape": x.shape, "codes": x.reshape(-1).view(np.uint8)},
        {**table, "shape": (1, k), "codes": np.zeros(4 * k, np.uint8)},
    )
    if activation == "fp32":
        source = rows
        if multiplier is not None:
            source = plan.buffer("fp32", k)
            plan.multiply(rows, source, multiplier)
    else:
        source = plan.buffer(activation, k, group=layer.get("group", 0))
        plan.quantise(rows, source, multiplier)
    plan.linear([layer], source, out)
    plan.pool(out, "cls")
    plan.finish()
    ids = np.arange(len(x), dtype=np.int32)
    offsets = np.arange(len(x) + 1, dtype=np.int32)
    return plan.run(ids, offsets, _native.ThreadPool(1), normalise=False)


@pytest.mark.parametrize("threads", [1, 3])
def test_the_bits_of_a_plan(rng, threads):
    pool = _native.ThreadPool(threads)
    bias = rng.standard_normal(N).astype(np.float32)
    scale = rng.uniform(0.5, 2, K).astype(np.float32)
    x = rng.standard_normal((max(ROWS), K)).astype(np.float32) + 1e-3
    forms = list(tensors(rng))
    assert len(forms) == 16
    for tensor in forms:
        layer, activation = described(tensor, bias)
        for multiplier in (None, scale):
            wanted = by_plan(layer, activation, x, multiplier)
            for rows in ROWS:
                for paired in {False, activation == "int8" and _native.linear_is_paired(layer)}:
                    out = np.full((rows, N), np.nan, np.float32)
                    _native.linear_run(layer, x[:rows], out, pool, activation, multiplier, paired)
                    np.testing.assert_array_equal(out, wanted[:rows], err_msg=f"{tensor.spec}, {rows} rows")


@pytest.mark.parametrize("rows", [9, 40])
def test_the_bits_of_a_plan_where_outputs_are_split(rng, rows):
    n, k = 520, 1030
    pool = _native.ThreadPool(3)
    x = rng.standard_normal((rows, k)).astype(np.float32)
    for tensor in islice(tensors(rng, n, k), 2, 8):
        layer, activation = described(tensor, None)
        out = np.full((rows, n), np.nan, np.float32)
        _native.linear_run(layer, x, out, pool, activation)
        np.testing.assert_array_equal(out, by_plan(layer, activation, x, None), err_msg=str(tensor.spec))


def test_no_rows(rng):
    layer, activation = described(next(tensors(rng)), None)
    out = np.empty((0, N), np.float32)
    _native.linear_run(layer, np.empty((0, K), np.float32), out, _native.ThreadPool(2), activation)


def test_pairs_are_told(rng):
    *_, unbounded, bounded = list(tensors(rng))[:4]
    assert not _native.linear_is_paired(described(unbounded, None)[0])
    assert _native.linear_is_paired(described(bounded, None)[0])


@pytest.mark.parametrize("at", [(0, 0), (31, 508), (1023, 508)])
def test_one_pair_out_of_bounds_is_found_wherever_it_lies(at):
    codes = np.full((1024, 512), 32, np.int8)
    ones, sums = np.ones(1024, np.float32), np.full(1024, 32 * 512, np.int32)

    def is_paired():
        packed = _native.qmatmul_pack("int8", codes)
        layer = {"type": "int8", "shape": codes.shape, "codes": packed, "scales": ones, "sums": sums}
        return _native.linear_is_paired({**layer, "zero_points": None, "bias": None})

    assert is_paired()
    codes[at[0], at[1] : at[1] + 2] = 65
    assert not is_paired()


def test_what_does_not_fit_is_refused(rng):
    layer, _ = described(next(tensors(rng)), None)
    pool, out = _native.ThreadPool(1), np.empty((3, N), np.float32)
    with pytest.raises(InvalidArgumentError, match="do not fit weights"):
        _native.linear_run(layer, np.empty((3, K + 1), np.float32), out, pool)
    with pytest.raises(InvalidArgumentError, match="do not fit weights"):
        _native.linear_run(layer, np.empty((4, K), np.float32), out, pool)
    rows = np.zeros((3, K), np.float32)
    with pytest.raises(InvalidArgumentError, match="multiplier of 3"):
        _native.linear_run(layer, rows, out, pool, multiplier=np.ones(3, np.float32))
    with pytest.raises(WeightError, match="codes holds 5"):
        _native.linear_run({**layer, "codes": np.zeros(5, np.uint8)}, rows, out, pool)
    with pytest.raises(WeightError, match="without codes"):
        _native.linear_run({**layer, "codes": None}, rows, out, pool)
    with pytest.raises(WeightError, match="only they meet"):
        _native.linear_run(layer, rows, out, pool, activation="int8-block")
    with pytest.raises(WeightError, match="need sums"):
        _native.linear_run({**layer, "sums": None}, rows, out, pool, activation="int16")
