"""Scales of inputs: what they do to matrices in groups, and that they are stored only where they gain."""

from __future__ import annotations

import numpy as np
import pytest

from arrowmind.quantize import InputStatistics, QuantizationConfig
from arrowmind.quantize.matrix.feedback import round_plainly
from arrowmind.quantize.smoothing import scaled_inputs, searched_scale
from arrowmind.weights import open_weights, write_weights
from arrowmind.weights.formats import Grid
from arrowmind.weights.tensor import float_tensor

GRIDS = [
    Grid("int4", 32, "fp16", zero_points=True),
    Grid("int4", 32, "fp16"),
    Grid("int2", 32, "u8", zero_points=True),
]
NAME = "layer.dense.weight"


def cost(matrix, mean_square, grid, scale, weight):
    columns = np.ascontiguousarray((matrix / scale).T)
    error = (round_plainly(columns, grid, weight.astype(np.float32)).values() - columns).T * scale
    return float((error**2 @ mean_square).sum())


@pytest.fixture
def uneven(rng):
    """A matrix, and inputs of which a few are large."""
    matrix = rng.standard_normal((96, 128)).astype(np.float32)
    mean_square = rng.uniform(0.5, 2, 128)
    mean_square[rng.choice(128, 8, replace=False)] *= 400
    return matrix, mean_square


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_a_scale_takes_off_the_error_of_the_outputs(grid, uneven):
    matrix, mean_square = uneven
    scale = searched_scale([matrix], mean_square, grid, 0.5)
    assert np.log(scale.astype(np.float64)).mean() == pytest.approx(0, abs=1e-6)
    large = mean_square > 100
    assert scale[large].max() < scale[~large].min()
    ones = np.ones(128, np.float32)
    alone = cost(matrix, mean_square, grid, ones, np.ones(128))
    weighted = cost(matrix, mean_square, grid, ones, mean_square)
    scaled = cost(matrix, mean_square, grid, scale, mean_square * scale.astype(np.float64) ** 2)
    print(alone, weighted, scaled)
    assert scaled < 0.95 * weighted < 0.95 * alone


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_even_inputs_get_no_scale(grid, rng):
    matrix = rng.standard_normal((96, 64)).astype(np.float32)
    assert searched_scale([matrix], np.full(64, 3.0), grid, 0.5) is None


def test_inputs_of_grids_always_have_their_importance(tmp_path, rng):
    path = tmp_path / "weights.arrow"
    write_weights(path, [float_tensor(NAME, rng.standard_normal((48, 64)).astype(np.float32)).for_kernels()])
    mean_square = np.full(64, 3.0)
    group = InputStatistics((NAME,), np.ones(64), mean_square)
    config = QuantizationConfig(quant_type="int4")
    with open_weights(path) as weights:
        found = scaled_inputs(weights, [group], config)[NAME]
        assert scaled_inputs(weights, [group], QuantizationConfig(quant_type="int4", keep=("layer.*",))) == {}
    assert found.scale is None
    np.testing.assert_array_equal(found.importance, mean_square.astype(np.float32))
