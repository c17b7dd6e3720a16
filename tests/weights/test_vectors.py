"""Vectors of int8: one scale and one zero point, in the file, in Parquet and in what counts bits."""

from __future__ import annotations

import numpy as np
import pytest

from arrowmind.errors import WeightError
from arrowmind.weights import ParquetWeights, WeightFile, write_parquet, write_weights
from arrowmind.weights.tensor import int8_tensor
from arrowmind.weights.tensor_spec import TensorSpec

NAME = "encoder.layer.0.output.dense.bias"
CODES = np.array([-127, -3, 0, 5, 127], np.int8)
SCALE, ZERO = np.array([0.25], np.float32), np.array([7], np.float32)
VALUES = (CODES.astype(np.float32) - 7) * np.float32(0.25)


@pytest.mark.parametrize("zero", [None, ZERO])
def test_a_file_gives_back_a_vector_with_one_scale(zero, tmp_path):
    tensor = int8_tensor(NAME, CODES, SCALE, zero, quant_axis=-1)
    write_weights(tmp_path / "weights.arrow", [tensor])
    wanted = VALUES if zero is not None else CODES * SCALE
    with WeightFile.open(tmp_path / "weights.arrow") as weights:
        weights.verify()
        found = weights.tensor(NAME)
        assert (found.scales.size, found.spec.scale_count) == (1, 1)
        assert (found.zero_points is None) == (zero is None)
        np.testing.assert_array_equal(found.to_float32(), wanted)
        write_parquet(weights, tmp_path / "weights.parquet")
        fingerprint = weights.fingerprint
    with ParquetWeights.open(tmp_path / "weights.parquet") as parquet:
        np.testing.assert_array_equal(parquet.tensor(NAME).to_float32(), wanted)
        assert parquet.fingerprint == fingerprint


def test_a_scale_for_each_element_is_refused():
    with pytest.raises(WeightError, match="one scale"):
        int8_tensor(NAME, CODES, np.ones(5, np.float32), quant_axis=0)
    with pytest.raises(WeightError, match="1 scales and zero points are needed, 5"):
        int8_tensor(NAME, CODES, np.ones(5, np.float32), quant_axis=-1)
    with pytest.raises(WeightError, match="quant_axis -1"):
        TensorSpec(NAME, "int8", (5,), quant_axis=0).check()
