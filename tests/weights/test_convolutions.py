"""Convolutions become matrices, and what they were again when they are written."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import load_file
from tests.reference import senses

from arrowmind.weights import convert_model, open_weights
from arrowmind.weights.convolutions import as_convolution, as_matrix, convolution_shape, matrix_shape

PATCHES = "vision_model.embeddings.patch_embedding.weight"
ROWS = "model.encoder.conv2.weight"


def test_rows():
    rng = np.random.default_rng(1)
    kernel, frames = rng.normal(size=(5, 4, 3)), rng.normal(size=(3, 4))
    expected = np.einsum("oik,ki->o", kernel, frames)
    assert np.allclose(as_matrix(ROWS, kernel) @ frames.reshape(-1), expected)
    assert matrix_shape(ROWS, (5, 4, 3)) == (5, 12)


@pytest.mark.parametrize(("name", "shape"), [(ROWS, (5, 4, 3)), (PATCHES, (6, 3, 4, 4))])
def test_there_and_back(name, shape):
    values = np.random.default_rng(1).normal(size=shape)
    assert np.array_equal(as_convolution(name, as_matrix(name, values)), values)
    assert convolution_shape(name, matrix_shape(name, shape)) == shape


@pytest.mark.parametrize("name", ["layer.conv1.weight", "encoder.conv1.bias", "decoder.fc1.weight"])
def test_other_tensors_stay(name):
    values = np.zeros((5, 4, 3))
    assert as_matrix(name, values) is values
    assert matrix_shape(name, (5, 4, 3)) == (5, 4, 3)
    assert convolution_shape(name, (5, 12)) == (5, 12)


@pytest.mark.parametrize("name", ["clip", "whisper"])
def test_a_written_model_is_the_one_that_was_read(tmp_path, name):
    config = senses.CLIP if name == "clip" else senses.WHISPER
    make = senses.clip_weights if name == "clip" else senses.whisper_weights
    tokens = senses.clip_tokens() if name == "clip" else senses.whisper_tokens()
    weights = make(config, 7)
    senses.write(tmp_path / "hf", config, weights, tokens)
    convert_model(tmp_path / "hf", tmp_path / "model", formats=["native", "safetensors", "parquet-v2"])
    written = load_file(tmp_path / "model" / "model.safetensors")
    assert written.keys() == weights.keys()
    assert all(np.array_equal(written[one], weights[one]) for one in weights)
    with open_weights(tmp_path / "model" / "weights.parquet") as source:
        (matrix,) = (one for one in source.names() if one in (PATCHES, "model.encoder.conv1.weight"))
        assert source.spec(matrix).shape == matrix_shape(matrix, weights[matrix].shape)
