"""Weights from a seed."""

from __future__ import annotations

import numpy as np
import pytest
from tests.bench.language.small import SMALL

from arrowmind.bench.language.shape import QWEN2_HALF_BILLION, SeededWeights, write_shape
from arrowmind.errors import WeightError


def test_the_same_bits_each_time_and_others_for_each_tensor(tmp_path):
    write_shape(tmp_path, SMALL)
    name = "model.layers.{}.mlp.up_proj.weight"
    first, again = (SeededWeights(tmp_path).tensor(name.format(0)).codes for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert (first != SeededWeights(tmp_path).tensor(name.format(1)).codes).any()


def test_every_tensor_is_as_described(tmp_path):
    write_shape(tmp_path, SMALL)
    weights = SeededWeights(tmp_path)
    for name in weights.names():
        assert weights.tensor(name).spec == weights.spec(name)
    with pytest.raises(WeightError, match=r"no tensor 'lm_head\.weight'"):
        weights.tensor("lm_head.weight")
    weights.close()


def test_the_shape_has_as_many_parameters_as_qwen2_half_billion(tmp_path):
    write_shape(tmp_path, QWEN2_HALF_BILLION)
    weights = SeededWeights(tmp_path)
    assert sum(int(np.prod(weights.spec(name).shape)) for name in weights.names()) == 494_032_768
