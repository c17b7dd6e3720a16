"""candidates of csrc/device/kernels.h on every device, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from tests.device.bench import Out, block
from tests.device.test_kernels import floats, padded_rows
from tests.kernels.rows import SEED

NOTHING = 0xFFFFFFFF


def run(bench, x, count, temperatures=()):
    """Columns, values and sums; each temperature is one of all rows."""
    rows, width = x.shape
    sums = len(temperatures)
    stride = 2 * count + sums + 1
    parameters = block(
        "candidates", rows=rows, width=width, in_stride=width + 3, out_stride=stride, count=count, sums=sums
    )
    places = [
        padded_rows(x, 0, 3),
        np.tile(np.array(temperatures, np.float32), (rows, 1)) if sums else None,
        Out(np.full((rows, stride), 77, np.uint32)),
    ]
    (found,) = bench.run("candidates", (1, rows, 1), places, parameters)
    np.testing.assert_array_equal(found[:, -1], 77)
    columns, values, rest = np.split(np.ascontiguousarray(found[:, :-1]), [count, 2 * count], axis=1)
    return columns, np.ascontiguousarray(values).view(np.float32), np.ascontiguousarray(rest).view(np.float32)


def expected(x, count):
    order = np.argsort(-x, axis=1, kind="stable")[:, :count]
    return order, np.take_along_axis(x, order, axis=1)


def exact_sums(x, temperature):
    x = x.astype(np.float64)
    return np.exp((x - x.max(axis=1, keepdims=True)) / temperature).sum(axis=1)


def bound(width):
    return 1e-5 + width / 2**34


@pytest.mark.parametrize(
    ("width", "count"), [(1, 1), (256, 256), (257, 40), (1023, 256), (2049, 7), (5003, 256)]
)
def test_the_largest_best_first(bench, width, count):
    x = floats(np.random.default_rng(SEED + width), 4, width)
    x[1] = np.round(x[1])  # many equals
    x[2, width // 3 :] = -np.inf
    x[3] = np.sort(x[3])
    columns, values, _ = run(bench, x, count)
    order, sorted_values = expected(x, count)
    np.testing.assert_array_equal(columns, order)
    np.testing.assert_array_equal(values, sorted_values)


@pytest.mark.parametrize("kind", ["equal", "few above equals", "one column", "close", "zeros", "infinite"])
def test_rows_whose_columns_are_unlike_each_other(bench, kind):
    """More reach the bound of the columns than are sorted at once."""
    rng = np.random.default_rng(SEED)
    x = np.full((1, 4100), -1.5, np.float32)
    if kind == "few above equals":
        x[0, rng.choice(4100, 100, replace=False)] = rng.normal(size=100)
    elif kind == "one column":
        x[0, 5::1024] = 3.0
    elif kind == "close":
        x[0] = 1 + np.arange(4100) % 1400 * np.float32(2**-23)
    elif kind == "zeros":
        x[0] = np.where(np.arange(4100) % 3 == 1, np.float32(-0.0), np.float32(0.0))
    elif kind == "infinite":
        x[0] = -np.inf
    columns, values, _ = run(bench, x, 256)
    order, sorted_values = expected(x, 256)
    np.testing.assert_array_equal(columns, order)
    np.testing.assert_array_equal(values.view(np.uint32), sorted_values.view(np.uint32))


def test_rows_that_are_shorter(bench):
    x = floats(np.random.default_rng(SEED), 2, 5)
    columns, values, sums = run(bench, x, 9, [1.0])
    order, sorted_values = expected(x, 5)
    np.testing.assert_array_equal(columns[:, :5], order)
    np.testing.assert_array_equal(values[:, :5], sorted_values)
    np.testing.assert_array_equal(columns[:, 5:], NOTHING)
    np.testing.assert_array_equal(values[:, 5:], -np.inf)
    np.testing.assert_allclose(sums[:, 0], exact_sums(x, 1.0), rtol=bound(5))


@pytest.mark.parametrize("width", [1, 31, 700, 4999])
def test_one_candidate_is_the_highest(bench, width):
    x = np.round(floats(np.random.default_rng(SEED + width), 3, width) * 4)
    columns, values, _ = run(bench, x, 1)
    np.testing.assert_array_equal(columns[:, 0], x.argmax(axis=1))
    np.testing.assert_array_equal(values[:, 0], x.max(axis=1))
    parameters = block("columns", rows=3, width=width, in_stride=width + 3, out_stride=2)
    places = [padded_rows(x, 0, 3), Out(np.zeros((3, 2), np.uint32))]
    (found,) = bench.run("highest", (1, 3, 1), places, parameters)
    np.testing.assert_array_equal(found[:, 0], columns[:, 0])


@pytest.mark.parametrize("place", [0, 130, 1299])
@pytest.mark.parametrize("bits", [0x7FC00000, 0xFFFFFFFF, 0x7FFFFFFF])
def test_a_row_with_a_nan_is_told(bench, place, bits):
    x = floats(np.random.default_rng(SEED), 3, 1300)
    x[1].view(np.uint32)[place] = bits
    x[2, 7] = np.inf
    columns, values, _ = run(bench, x, 4, [0.5])
    np.testing.assert_array_equal(np.isnan(values[:, 0]), [False, True, False])
    np.testing.assert_array_equal(columns[[0, 2]], expected(x[[0, 2]], 4)[0])


@pytest.mark.parametrize("width", [1, 1024, 3001])
def test_sums_are_as_exact_as_told(bench, width):
    x = floats(np.random.default_rng(SEED + width), 3, width) * 4
    x[1, : width // 2] = -np.inf
    temperatures = [1.0, 0.05, 1000.0]
    _, _, sums = run(bench, x, 3, temperatures)
    for place, temperature in enumerate(temperatures):
        np.testing.assert_allclose(sums[:, place], exact_sums(x, temperature), rtol=bound(width))


def test_a_row_is_the_same_among_others(bench):
    x = floats(np.random.default_rng(SEED), 3, 2500)
    together = run(bench, x, 20, [0.7])
    for row in range(3):
        for found, one in zip(together, run(bench, x[row : row + 1], 20, [0.7]), strict=True):
            np.testing.assert_array_equal(found[row : row + 1], one)
