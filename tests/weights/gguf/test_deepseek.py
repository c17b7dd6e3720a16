"""GGUF files of the DeepSeek families: the matrix of latent rows whole or in two, routers, rotation."""

from __future__ import annotations

import numpy as np
import pytest
from tests.engine import decoders
from tests.interchange.forge import write_gguf
from tests.reference import decoder
from tests.weights.gguf.conftest import TOKENIZER, VOCABULARY
from tests.weights.gguf.test_experts import stacked

from arrowmind import ArrowEngine, _native
from arrowmind.errors import WeightError
from arrowmind.weights import GgufModel, convert_model
from arrowmind.weights.gguf.architectures import EXPERT_ARCHITECTURES
from arrowmind.weights.gguf.tensor_names import to_gguf

SEED = 101
TOKENS = [1, 5, 20, 3, 3, 11, 7]
DEEPSEEK = EXPERT_ARCHITECTURES["deepseek2"]


def small(name):
    config = {**decoder.CONFIGS[name], "vocab_size": VOCABULARY, "rope_theta": 10000.0}
    return config, decoder.random_weights(config, SEED)


def metadata(config, *, halves):
    """As a converter writes them."""
    known = {"general.architecture": "deepseek2", **TOKENIZER}
    for key, theirs in DEEPSEEK.settings.items():
        if config.get(key) is not None:
            known[f"deepseek2.{theirs}"] = config[key]
    plain, turned, rank = (config[key] for key in ("qk_nope_head_dim", "qk_rope_head_dim", "kv_lora_rank"))
    lengths = {"key_length": plain + turned, "value_length": config["v_head_dim"]}
    if halves:
        lengths = {f"{name}_mla": value for name, value in lengths.items()}
        lengths |= {"key_length": rank + turned, "value_length": rank, "head_count_kv": 1}
    known |= {f"deepseek2.attention.{name}": value for name, value in lengths.items()}
    known["deepseek2.expert_weights_scale"] = config["routed_scaling_factor"]
    known["deepseek2.expert_weights_norm"] = bool(config.get("norm_topk_prob"))
    known["deepseek2.expert_gating_func"] = 2 if config["model_type"] == "deepseek_v3" else 1
    scaling = config.get("rope_scaling")
    if scaling:
        prefix = "deepseek2.rope.scaling"
        known |= {
            f"{prefix}.type": "yarn",
            f"{prefix}.factor": float(scaling["factor"]),
            f"{prefix}.original_context_length": scaling["original_max_position_embeddings"],
            f"{prefix}.yarn_log_multiplier": 0.1 * scaling["mscale_all_dim"],
        }
    return known


def parts_of(config, name, value, *, halves):
    """A tensor under its GGUF name, or the two that stand for it."""
    theirs = to_gguf(DEEPSEEK, name)
    assert theirs is not None, name
    if not halves or not theirs.endswith("attn_kv_b.weight"):
        return {theirs: value}
    plain = config["qk_nope_head_dim"]
    heads = value.reshape(config["num_attention_heads"], -1, config["kv_lora_rank"])
    place = theirs.removesuffix("attn_kv_b.weight")
    return {
        f"{place}attn_k_b.weight": heads[:, :plain].swapaxes(1, 2),
        f"{place}attn_v_b.weight": heads[:, plain:],
    }


def write(path, name, kind="F32", *, halves=True, change=None, without=()):
    config, weights = small(name)
    content = {}
    for ours, value in stacked(weights).items():
        for theirs, part in parts_of(config, ours, value, halves=halves).items():
            if theirs in without:
                continue
            chosen = kind if part.ndim > 1 and "gate_inp" not in theirs else "F32"
            data = _native.gguf_encode(chosen, np.ascontiguousarray(part).reshape(-1)).tobytes()
            content[theirs] = (chosen, part.shape, data)
    known = metadata(config, halves=halves) | (change or {})
    path.write_bytes(write_gguf(known, content))
    return config, weights


# Of files the one factor stands for both; the reference has a model whose two differ.
@pytest.mark.parametrize("halves", [False, True])
@pytest.mark.parametrize("name", ["deepseek-v2", "deepseek-v3"])
def test_logits(tmp_path, name, halves):
    config, weights = write(tmp_path / "model.gguf", name, halves=halves)
    convert_model(tmp_path / "model.gguf", tmp_path / "model")
    expected = decoder.logits(config, weights, TOKENS)
    found = ArrowEngine(tmp_path / "model").logits(TOKENS)
    assert np.abs(found - expected).max() <= decoders.logits_bound(config, expected)


def test_the_configuration_is_that_of_the_family(tmp_path):
    config, _ = write(tmp_path / "model.gguf", "deepseek-lite")
    with GgufModel.open(tmp_path / "model.gguf") as model:
        found = model.model
        assert found["model_type"] == "deepseek_v2"
        assert found["topk_method"] == "greedy"
        assert found.get("q_lora_rank") is None
        for key in ("kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"):
            assert found[key] == config[key], key
        assert found["rope_scaling"]["mscale_all_dim"] == pytest.approx(0.5, rel=1e-6)
        assert not any("kv_b_proj.keys" in name for name in model.names())


def test_codes_of_two_matrices_become_one_matrix_of_floats(tmp_path):
    _, weights = write(tmp_path / "model.gguf", "deepseek-v3", "F16")
    name = "model.layers.1.self_attn.kv_b_proj.weight"
    with GgufModel.open(tmp_path / "model.gguf") as model:
        tensor = model.tensor(name)
        assert tensor.spec == model.spec(name)
        assert np.array_equal(tensor.to_float32(), weights[name].astype(np.float16).astype(np.float32))


def test_what_does_not_go_together_is_refused(tmp_path):
    path = tmp_path / "model.gguf"
    write(path, "deepseek-v3", without=("blk.1.attn_v_b.weight",))
    with pytest.raises(WeightError, match="one is missing"):
        GgufModel.open(path)
    write(path, "deepseek-v3", change={"deepseek2.expert_gating_func": 4})
    with pytest.raises(WeightError, match="expert_gating_func is 4"):
        GgufModel.open(path)
    write(path, "deepseek-v3", change={"deepseek2.rope.dimension_count": 500})
    with pytest.raises(WeightError, match="dimension_count is 500"):
        GgufModel.open(path)


def test_two_matrices_of_other_shapes_are_refused(tmp_path):
    path = tmp_path / "model.gguf"
    config, weights = small("deepseek-v3")
    content = {}
    for ours, value in stacked(weights).items():
        for theirs, part in parts_of(config, ours, value, halves=True).items():
            kept = part[:1] if theirs == "blk.0.attn_v_b.weight" else part
            content[theirs] = ("F32", kept.shape, np.ascontiguousarray(kept, np.float32).tobytes())
    path.write_bytes(write_gguf(metadata(config, halves=True), content))
    with pytest.raises(WeightError, match="do not go together"):
        GgufModel.open(path)
