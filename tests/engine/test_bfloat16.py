"""Models whose matrices are bfloat16: they stay so, and compute what their numbers as float32 do."""

from __future__ import annotations

import numpy as np
import pytest
from tests.reference import folder
from tests.reference.qmatmul import rounded

from arrowmind import ArrowEngine
from arrowmind.weights import convert_model, open_weights, write_weights
from arrowmind.weights.convert import copy_companions
from arrowmind.weights.roles import role_of
from arrowmind.weights.tensor import float_tensor

TEXTS = ["the cat sat on the mat.", "", "a dog", "the dog ran far away, and back!", "cat " * 30]


@pytest.fixture
def models(tmp_path):
    """One model twice: matrices of bfloat16, and of float32 with the same numbers."""
    original = folder.write(tmp_path / "original", folder.weights())
    for kind in ("bf16", "fp32"):
        path = tmp_path / kind
        path.mkdir()
        with open_weights(original) as weights:
            copy_companions(original, path, weights)

            def tensors(kind=kind, weights=weights):
                for name in weights.names():
                    values = rounded(weights.tensor(name).to_float32(), "bf16")
                    if kind == "bf16" and role_of(name, values.shape) != "vector":
                        values = (values.view(np.uint32) >> 16).astype(np.uint16)
                    yield float_tensor(name, values).for_kernels()

            write_weights(path / "weights.arrow", tensors())
    return tmp_path / "bf16", tmp_path / "fp32"


def test_the_bits_are_those_of_float32(models):
    half, whole = (ArrowEngine(path).encode(TEXTS) for path in models)
    assert np.array_equal(half, whole)


def test_a_file_through_safetensors_is_the_same_bytes(models, tmp_path):
    convert_model(models[0], tmp_path / "theirs", formats=["safetensors"])
    convert_model(tmp_path / "theirs", tmp_path / "back")
    with open_weights(tmp_path / "back") as back, open_weights(models[0]) as first:
        assert {back.spec(name).quant_type for name in back.names()} == {"bf16", "fp32"}
        for name in first.names():
            assert back.tensor(name).codes.tobytes() == first.tensor(name).codes.tobytes()
