"""The range search never loses, and finds what clipping can win."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from arrowmind.quantize.config import QuantizationConfig
from arrowmind.quantize.ptq import fit
from arrowmind.quantize.scheme import dequantize

SEARCH = QuantizationConfig()
PLAIN = QuantizationConfig(range_search=False)
SEEDS = [1, 2, 3]


def squared_error(matrix, quantized, importance=1.0):
    return (((dequantize(quantized) - matrix).astype(np.float64) ** 2) * importance).sum(axis=1)


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("seed", SEEDS)
def test_search_is_never_worse_than_the_full_range(seed, symmetric):
    matrix = np.random.default_rng(seed).standard_t(3, (300, 70)).astype(np.float32)
    plain = squared_error(matrix, fit(matrix, replace(PLAIN, symmetric=symmetric)))
    found = squared_error(matrix, fit(matrix, replace(SEARCH, symmetric=symmetric)))
    assert (found <= plain * (1 + 1e-5)).all()
    assert found.sum() < plain.sum()


def test_search_clips_a_lone_outlier():
    # 5000 values of about 1 pay half a step each; one value of 140 pays for being clipped to 112.
    matrix = np.random.default_rng(4).standard_normal((1, 200_000)).astype(np.float32)
    matrix[0, 0] = 40.0
    assert fit(matrix, SEARCH).scales[0] < 0.9 * fit(matrix, PLAIN).scales[0]


def test_importance_decides_what_is_clipped():
    matrix = np.random.default_rng(5).standard_normal((1, 200_000)).astype(np.float32)
    matrix[0, 0] = 40.0
    importance = np.ones(200_000, np.float32)
    importance[0] = 1e9
    config = replace(SEARCH, symmetric=True)
    free, bound = fit(matrix, config), fit(matrix, config, importance)
    assert bound.scales[0] > free.scales[0]
    assert squared_error(matrix, bound, importance) < squared_error(matrix, free, importance)


def test_one_sided_rows_gain_from_a_zero_point():
    matrix = np.random.default_rng(6).uniform(0, 1, (20, 100)).astype(np.float32)
    symmetric = squared_error(matrix, fit(matrix, replace(SEARCH, symmetric=True)))
    assert (squared_error(matrix, fit(matrix, SEARCH)) < symmetric / 2).all()


@pytest.mark.parametrize("symmetric", [True, False])
def test_per_tensor_has_one_scale(symmetric):
    matrix = np.random.default_rng(7).standard_normal((33, 50)).astype(np.float32)
    quantized = fit(matrix, replace(SEARCH, per_channel=False, symmetric=symmetric))
    assert quantized.scales.shape == (1,)
    assert quantized.codes.shape == matrix.shape
    assert np.abs(dequantize(quantized) - matrix).max() < 0.2


def test_blocks_do_not_show():
    matrix = np.random.default_rng(8).standard_normal((1000, 300)).astype(np.float32)
    whole = fit(matrix, SEARCH)
    parts = [fit(matrix[begin : begin + 7], SEARCH) for begin in range(0, 1000, 7)]
    assert np.array_equal(whole.codes, np.concatenate([part.codes for part in parts]))
    assert np.array_equal(whole.scales, np.concatenate([part.scales for part in parts]))


@pytest.mark.parametrize("shape", [(1, 1), (3, 1), (1, 5)])
def test_tiny_and_constant_matrices(shape):
    for value in (0.0, 1.0, -2.5):
        matrix = np.full(shape, value, np.float32)
        assert np.allclose(dequantize(fit(matrix, SEARCH)), matrix, rtol=1e-2)
