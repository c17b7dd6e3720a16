"""highest of csrc/device/kernels.h on every device, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from tests.device.bench import Out, block
from tests.device.test_kernels import floats, padded_rows
from tests.kernels.rows import SEED


def run(bench, x):
    rows, width = x.shape
    parameters = block("columns", rows=rows, width=width, in_stride=width + 3, out_stride=2)
    places = [padded_rows(x, 0, 3), Out(np.full((rows, 2), 77, np.uint32))]
    (found,) = bench.run("highest", (1, rows, 1), places, parameters)
    return found[:, 0], np.ascontiguousarray(found[:, 1]).view(np.float32)


@pytest.mark.parametrize("width", [1, 31, 128, 257, 5000])
def test_the_largest_of_each_row_the_first_of_equals(bench, width):
    x = floats(np.random.default_rng(SEED + width), 5, width)
    x[1] = -2.5
    x[2] = np.round(x[2])
    x[3] = -np.inf
    x[4, width // 2 :] = np.inf
    columns, values = run(bench, x)
    np.testing.assert_array_equal(columns, x.argmax(axis=1))
    np.testing.assert_array_equal(values, x.max(axis=1))


@pytest.mark.parametrize("place", [0, 130, 299])
def test_a_row_with_a_nan_is_told(bench, place):
    x = floats(np.random.default_rng(SEED), 3, 300)
    x[1, place], x[1, 5], x[2, 7] = np.nan, np.inf, 1e30
    columns, values = run(bench, x)
    np.testing.assert_array_equal(np.isnan(values), [False, True, False])
    np.testing.assert_array_equal(columns[[0, 2]], x[[0, 2]].argmax(axis=1))
