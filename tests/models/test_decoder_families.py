"""Configurations of decoders become a model, or a clear error."""

from __future__ import annotations

import numpy as np
import pytest
from tests.reference import decoder

from arrowmind.errors import WeightError
from arrowmind.models.decoder_spec import DecoderSpec, LatentAttention, RoutedFeedForward
from arrowmind.models.registry import build_model
from arrowmind.models.spec import Pooling

MEAN = Pooling("mean")
SEED = 5


def built(name: str, **change: object) -> DecoderSpec:
    config = decoder.CONFIGS[name]
    model = build_model({**config, **change}, decoder.random_weights(config, SEED), MEAN)
    assert isinstance(model, DecoderSpec)
    return model


def keys_of(model: DecoderSpec) -> set[str]:
    used = {model.embedding, model.head.weight, model.head.norm.weight}
    for block in model.blocks:
        attention, fed = block.attention, block.feed_forward
        if isinstance(attention, LatentAttention):
            layers = (attention.query, attention.latent, attention.unfold, attention.output)
            layers += () if attention.query_down is None else (attention.query_down,)
            own = (attention.query_norm, attention.latent_norm)
        else:
            layers = (attention.query, attention.key, attention.value, attention.output)
            own = (attention.query_norm, attention.key_norm)
        for layer in (*layers, *fed.readers, *fed.writers):
            used |= {layer.weight, layer.bias or layer.weight}
        if isinstance(fed, RoutedFeedForward):
            used |= {fed.router.bias or fed.router.weight}
        norms = (
            *(block.attention_norm, block.feed_forward_norm, *own),
            *(block.attention_output_norm, block.feed_forward_output_norm),
        )
        used |= {norm.weight for norm in norms if norm is not None}
    return used


@pytest.mark.parametrize("name", list(decoder.CONFIGS))
def test_every_key_of_the_model_is_a_tensor(name):
    assert keys_of(built(name)) == set(decoder.random_weights(decoder.CONFIGS[name], SEED))


@pytest.mark.parametrize(
    ("name", "windows"),
    [
        ("llama", [None, None, None]),
        ("mistral", [5, 5, 5]),
        ("qwen2", [None, None, None]),
        ("qwen2-window", [None, 4, 4]),
        ("gemma2", [4, None, 4]),
    ],
)
def test_windows(name, windows):
    assert [block.attention.window for block in built(name).blocks] == windows


def test_windows_of_gemma_without_a_list():
    model = built("gemma3", layer_types=None, num_hidden_layers=7)
    assert [block.attention.window for block in model.blocks] == [4] * 5 + [None, 4]
    local, everywhere = model.blocks[0].attention.rope, model.blocks[5].attention.rope
    assert local.frequencies[1] == np.float32(500.0**-0.1)
    assert everywhere.frequencies[1] == np.float32(10000.0**-0.1)


def test_heads_are_tied_by_the_configuration_or_the_lack_of_one():
    assert built("llama").head.weight == "lm_head.weight"
    assert built("llama", tie_word_embeddings=True).head.weight == "model.embed_tokens.weight"
    assert built("qwen2", tie_word_embeddings=None).head.weight == "model.embed_tokens.weight"


@pytest.mark.parametrize("root", ["", "model.language_model."])
def test_keys_may_stand_elsewhere(root):
    config = decoder.CONFIGS["qwen2"]
    names = {root + name.removeprefix("model.") for name in decoder.random_weights(config, SEED)}
    model = build_model(config, names, MEAN)
    assert isinstance(model, DecoderSpec)
    assert keys_of(model) == names


def test_rotations_as_newer_configurations_hold_them():
    scaled = {**decoder.LLAMA3, "rope_theta": 500.0}
    newer = built("llama", rope_theta=None, rope_parameters=scaled)
    older = built("llama", rope_theta=500.0, rope_scaling=decoder.LLAMA3)
    assert newer.blocks[0].attention.rope == older.blocks[0].attention.rope
    own = {"factor": 2.0, "type": "linear"}
    halves = built("llama", rope_scaling=own).blocks[0].attention.rope.frequencies
    assert halves == tuple(value / 2 for value in built("llama").blocks[0].attention.rope.frequencies)


def test_factors_of_a_gguf_file():
    plain = built("llama").blocks[0].attention.rope
    factors = {"rope_factors": [1.0, 2.0, 4.0, 1.0, 1.0, 8.0]}
    turned = built("llama", arrowmind=factors).blocks[0].attention.rope
    expected = np.float32(plain.frequencies) / np.float32([1, 2, 4, 1, 1, 8])
    assert np.allclose(turned.frequencies, expected, rtol=2e-7)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"num_key_value_heads": 3}, "num_attention_heads 4 is not a multiple of num_key_value_heads 3"),
        ({"num_attention_heads": 5, "head_dim": None, "num_key_value_heads": 5}, "there is no head_dim"),
        ({"head_dim": 13}, "cannot be rotated"),
        ({"hidden_act": "relu"}, "hidden_act is 'relu'"),
        ({"hidden_size": True}, "hidden_size is True"),
        ({"rms_norm_eps": 0}, "rms_norm_eps is 0"),
        ({"rope_theta": -1.0}, "rope_theta is -1"),
        ({"rope_scaling": {"rope_type": "dynamic", "factor": 2.0}}, "'dynamic' is not supported"),
        ({"rope_scaling": {"rope_type": "linear"}}, "factor is None"),
        ({"rope_scaling": {"rope_type": "llama3", "factor": 8}}, "low_freq_factor is None"),
        ({"rope_scaling": [1]}, "an object is needed"),
        ({"tie_word_embeddings": 1}, "true or false is needed"),
        ({"arrowmind": {"rope_factors": [1.0, 0.0]}}, "rope_factors"),
        ({"arrowmind": {"rope_factors": "x"}}, "rope_factors"),
    ],
)
def test_configurations_that_cannot_be(change, what):
    with pytest.raises(WeightError, match=what):
        built("llama", **change)


def test_lists_of_kinds_that_cannot_be():
    with pytest.raises(WeightError, match="layer_types has 1 entries"):
        built("gemma2", layer_types=["full_attention"])
    with pytest.raises(WeightError, match="a list of texts"):
        built("gemma2", layer_types=[1])


def test_weights_of_another_family():
    with pytest.raises(WeightError, match=r"no tensor 'model\.embed_tokens\.weight'"):
        build_model(decoder.CONFIGS["llama"], {"wte.weight"}, MEAN)


def test_blocks_with_experts():
    def sparse(name, **change):
        blocks = built(name, **change).blocks
        return [isinstance(block.feed_forward, RoutedFeedForward) for block in blocks]

    assert sparse("mixtral") == [True, True, True]
    assert sparse("qwen2-moe") == [False, True, False]
    assert sparse("qwen3-moe") == [True, False, True]
    assert sparse("deepseek-v3") == [False, True, True]


def test_windows_of_families_with_experts():
    on = {"use_sliding_window": True, "sliding_window": 4}
    three = built("qwen3-moe", **on)
    two = built("qwen2-moe", **on, max_window_layers=2)
    assert [block.attention.window for block in three.blocks] == [4, 4, 4]
    assert [block.attention.window for block in two.blocks] == [4, None, None]


@pytest.mark.parametrize(
    ("name", "change", "what"),
    [
        ("mixtral", {"num_experts_per_tok": 6}, "num_experts_per_tok is 6, and there are 5 experts"),
        ("mixtral", {"num_local_experts": 6}, r"experts\.5\.w1\.weight', but config\.json says 6 experts"),
        ("mixtral", {"num_local_experts": None}, "num_local_experts is None"),
        ("qwen3-moe", {"mlp_only_layers": "1"}, "a list of whole numbers"),
        ("deepseek-v2", {"n_group": 3}, "n_group is 3 and topk_group 2"),
        ("deepseek-v2", {"topk_group": 5}, "n_group is 4 and topk_group 5"),
        ("deepseek-v2", {"topk_group": 1}, "there are 2 experts to choose from"),
        ("deepseek-v2", {"norm_topk_prob": True}, "norm_topk_prob is true"),
        ("deepseek-v2", {"topk_method": "noaux_tc"}, "topk_method is 'noaux_tc'"),
        ("deepseek-v2", {"v_head_dim": 21}, "v_head_dim is 21"),
        ("deepseek-v3", {"n_group": 8, "topk_group": 8}, "no two best"),
        ("deepseek-v3", {"scoring_func": "softmax"}, "scoring_func is 'softmax'"),
        ("deepseek-v3", {"qk_rope_head_dim": 7}, "cannot be rotated"),
        ("deepseek-v3", {"kv_lora_rank": None}, "kv_lora_rank is None"),
        ("deepseek-v3", {"first_k_dense_replace": 0}, "which sends tokens|experts"),
    ],
)
def test_experts_that_cannot_be(name, change, what):
    with pytest.raises(WeightError, match=what):
        built(name, **change)
