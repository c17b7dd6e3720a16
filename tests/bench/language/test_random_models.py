"""Random models are whole models of their families."""

from __future__ import annotations

import pytest

from arrowmind import ArrowEngine
from arrowmind.bench.language.random_models import write_random_model

COMMON = {
    "hidden_act": "silu",
    "max_position_embeddings": 64,
    "rms_norm_eps": 1e-6,
    "rope_theta": 1e6,
    "tie_word_embeddings": True,
    "vocab_size": 96,
    "hidden_size": 64,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "num_hidden_layers": 2,
    "torch_dtype": "float32",
}
FAMILIES = {
    "llama": {"intermediate_size": 128},
    "mixtral": {"intermediate_size": 64, "num_local_experts": 4, "num_experts_per_tok": 2},
    "qwen3_moe": {
        **{"intermediate_size": 128, "moe_intermediate_size": 32, "num_experts": 8},
        **{"num_experts_per_tok": 2, "norm_topk_prob": True, "decoder_sparse_step": 1},
    },
}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_random_model_generates_and_its_making_is_told(tmp_path, family):
    told = []
    config = {**COMMON, **FAMILIES[family], "model_type": family}
    write_random_model(tmp_path / "model", config, lambda *step: told.append(step))
    assert [done for done, _, _ in told] == sorted(done for done, _, _ in told)
    assert told[-1][0] <= told[-1][1]
    with_all = ArrowEngine(tmp_path / "model", threads=1).generate([1, 2, 3], max_tokens=5, ignore_eos=True)
    assert len(with_all.token_ids) == 5


def test_the_same_bytes_each_time(tmp_path):
    config = {**COMMON, **FAMILIES["qwen3_moe"], "model_type": "qwen3_moe"}
    for name in ("one", "two"):
        write_random_model(tmp_path / name, config)
    assert (tmp_path / "one/weights.arrow").read_bytes() == (tmp_path / "two/weights.arrow").read_bytes()


def test_neighbouring_tokens_take_different_routes(tmp_path):
    """Else a measurement of experts that come and go would measure nothing."""
    config = {**COMMON, **FAMILIES["qwen3_moe"], "model_type": "qwen3_moe", "num_experts": 32}
    write_random_model(tmp_path / "model", config)
    engine = ArrowEngine(tmp_path / "model", threads=1)
    made = engine.generate([1, 2, 3], max_tokens=24, ignore_eos=True, temperature=1000.0, seed=1)
    assert len(set(made.token_ids)) > 12
