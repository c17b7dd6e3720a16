"""Rotated decoders compute what they computed before, and their weights have no columns that stand out."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.reference import decoder

from arrowmind.errors import QuantizationError
from arrowmind.models.registry import build_model
from arrowmind.quantize.incoherence import Rotated, Rotation
from arrowmind.quantize.matrix.feedback import round_plainly
from arrowmind.weights import open_weights, write_weights
from arrowmind.weights.formats import Grid
from arrowmind.weights.tensor import float_tensor

TOKENS = [3, 17, 5, 5, 60, 0, 41, 8]
FAMILIES = ["llama", "llama3", "mistral", "qwen2", "qwen2-window", "qwen3", "gemma"]


def opened(config, weights, path):
    tensors = (float_tensor(name, values).for_kernels() for name, values in weights.items())
    write_weights(path, tensors, {"model": json.loads(json.dumps(config))})
    return open_weights(path)


def rotated(config, weights, path, seed):
    """The rotated weights by name, and the configuration that goes with them."""
    with opened(config, weights, path) as source:
        result = Rotated(source, build_model(config, source.names(), None), seed)
        found = {name: result.tensor(name).to_float32() for name in result.names()}
        for name, values in found.items():
            assert result.spec(name).shape == values.shape
        return found, result.documents["model"]


@given(n=st.sampled_from([1, 2, 16, 24, 48, 80, 7]), seed=st.integers(0, 2**31))
def test_a_rotation_is_orthogonal_and_drawn_by_its_seed(n, seed):
    matrix = Rotation(n, seed)(np.eye(n))
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(n), atol=1e-12)
    np.testing.assert_array_equal(Rotation(n, seed)(np.eye(n)), matrix)
    rows = np.random.default_rng(seed).standard_normal((2, 3, n))
    np.testing.assert_allclose(Rotation(n, seed)(rows), rows @ matrix, atol=1e-12)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_function_stays_the_same(family, seed, tmp_path):
    config = decoder.CONFIGS[family]
    weights = decoder.random_weights(config, seed)
    found, changed = rotated(config, weights, tmp_path / "weights.arrow", seed)
    before = decoder.logits(config, weights, TOKENS)
    after = decoder.logits(changed, found, TOKENS)
    # The only rounding is that of float32 weights.
    np.testing.assert_allclose(after, before, atol=2e-5 * np.abs(before).max())
    assert ("lm_head.weight" in found) and not changed["tie_word_embeddings"]
    other = rotated(config, weights, tmp_path / "other.arrow", seed + 1)[0]
    assert any(not np.array_equal(found[name], other[name]) for name in found)


def test_a_norm_that_stands_out_and_large_columns_no_longer_cost_the_others(seed, tmp_path):
    config = decoder.CONFIGS["llama"]
    weights = decoder.random_weights(config, seed)
    large = np.random.default_rng(seed).choice(config["hidden_size"], 3, replace=False)
    weights["model.layers.0.input_layernorm.weight"][large] *= 30
    found, _ = rotated(config, weights, tmp_path / "weights.arrow", seed)
    name = "model.layers.0.self_attn.q_proj.weight"
    plain = weights[name] * weights["model.layers.0.input_layernorm.weight"]

    def error(matrix):
        columns = np.ascontiguousarray(matrix.T)
        rounded = round_plainly(columns, Grid("int4", 16, "fp16"), np.ones(len(columns), np.float32))
        return np.linalg.norm(rounded.values() - columns) / np.linalg.norm(columns)

    def peak(matrix):
        return np.abs(matrix).max() / np.sqrt((matrix**2).mean())

    print(peak(plain), peak(found[name]), error(plain), error(found[name]))
    assert peak(found[name]) < 0.75 * peak(plain)
    np.testing.assert_allclose(np.linalg.norm(found[name]), np.linalg.norm(plain), rtol=1e-5)


@pytest.mark.parametrize("family", ["gemma2", "gemma3"])
def test_families_that_cannot_be_rotated_are_refused(family, seed, tmp_path):
    config = decoder.CONFIGS[family]
    with pytest.raises(QuantizationError, match="normalises what its blocks add"):
        rotated(config, decoder.random_weights(config, seed), tmp_path / "weights.arrow", seed)
