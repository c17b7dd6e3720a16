"""Logits of every family against the reference implementation, where it is installed."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from tests.engine import decoders
from tests.reference import decoder

from arrowmind import ArrowEngine
from arrowmind.weights import convert_model

torch = pytest.importorskip("torch", reason="torch is not installed: compared with NumPy alone")
transformers = pytest.importorskip("transformers", reason="transformers is not installed")

SEED = 43
_SMALL = {"num_hidden_layers": 2, "vocab_size": 259, "max_position_embeddings": 512}
# Shapes of heads and groups as real models have them, narrower.
_REAL = {
    "llama": {"hidden_size": 256, "intermediate_size": 688, "num_attention_heads": 4, "head_dim": 64},
    "qwen2": {"hidden_size": 896, "intermediate_size": 2432, "num_attention_heads": 14, "head_dim": 64},
    "qwen3": {"hidden_size": 256, "intermediate_size": 768, "num_attention_heads": 4, "head_dim": 128},
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", list(decoder.CONFIGS))
def test_logits_are_those_of_transformers(tmp_path, name):
    config = {**decoder.CONFIGS[name], **_REAL.get(name, {}), **_SMALL}
    if "layer_types" in config:
        config["layer_types"] = config["layer_types"][:2]
    weights = decoder.random_weights(config, SEED)
    source = decoders.write(tmp_path / "hf", config, weights)
    convert_model(source, tmp_path / "model")
    tokens = np.random.default_rng(SEED).integers(0, config["vocab_size"], 200).tolist()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        model = transformers.AutoModelForCausalLM.from_pretrained(
            source, dtype=torch.float32, attn_implementation="eager"
        )
        expected = model(torch.tensor([tokens])).logits[0].numpy()
    found = ArrowEngine(tmp_path / "model").logits(tokens)
    error = np.abs(found - expected).max()
    print(f"{name}: largest error {error:.2e}, bound {2 * decoders.logits_bound(config, expected):.2e}")
    # Both have float32's error.
    assert error <= 2 * decoders.logits_bound(config, expected)
