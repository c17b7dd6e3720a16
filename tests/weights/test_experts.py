"""Experts on disk: each one piece of the file, whether the source held matrices or stacks of them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors.numpy import save_file
from tests.engine import decoders
from tests.reference import decoder

from arrowmind import ArrowEngine
from arrowmind.errors import WeightError
from arrowmind.weights import WeightFile, convert_model, open_weights
from arrowmind.weights.experts import unstacked

SEED = 83


def stacked(weights: dict[str, np.ndarray], suffix: str = "") -> dict[str, np.ndarray]:
    """The same weights as newer folders hold them: gate and up of all experts in one tensor."""
    result = {name: value for name, value in weights.items() if ".experts." not in name}
    for block in range(3):
        key = f"model.layers.{block}.mlp.experts"
        count = len({name.split(".")[5] for name in weights if name.startswith(key)})
        each = {
            part: [weights[f"{key}.{e}.{part}_proj.weight"] for e in range(count)]
            for part in ("gate", "up", "down")
        }
        if count:
            result[f"{key}.gate_up_proj{suffix}"] = np.concatenate([each["gate"], each["up"]], axis=1)
            result[f"{key}.down_proj{suffix}"] = np.stack(each["down"])
    return result


@pytest.mark.parametrize("name", ["mixtral", "qwen2-moe", "qwen3-moe"])
def test_an_expert_is_one_piece_of_the_file(tmp_path, name):
    source, _, _ = decoders.write_family(tmp_path / "hf", name, SEED)
    convert_model(source, tmp_path / "model")
    with WeightFile.open(tmp_path / "model" / "weights.arrow") as weights:
        order = [one for one in weights.names() if ".experts." in one]
        experts = [order[at : at + 3] for at in range(0, len(order), 3)]
        parts = ("w1", "w3", "w2") if name == "mixtral" else ("gate_proj", "up_proj", "down_proj")
        end = None
        for expert in experts:
            prefix = expert[0].rsplit(".", 2)[0]
            assert expert == [f"{prefix}.{part}.weight" for part in parts]
            for one in expert:
                begin = weights.offset(one)
                if end is not None and one != expert[0]:
                    assert begin == -(-end // 4096) * 4096
                end = begin + weights.spec(one).codes_bytes
        # Experts of a block follow each other, by number.
        numbers = [int(expert[0].split(".experts.")[1].split(".")[0]) for expert in experts]
        blocks = [expert[0].split(".")[2] for expert in experts]
        assert [int(block) for block in blocks] == sorted(int(block) for block in blocks)
        for block in set(blocks):
            mine = [number for number, at in zip(numbers, blocks, strict=True) if at == block]
            assert mine == list(range(len(mine)))


@pytest.mark.parametrize("suffix", ["", ".weight"])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_stacks_are_taken_apart(tmp_path, suffix, dtype):
    config = decoder.CONFIGS["qwen3-moe"]
    weights = {name: one.astype(dtype) for name, one in decoder.random_weights(config, SEED).items()}
    decoders.write(tmp_path / "one", config, weights)
    decoders.write(tmp_path / "other", config, stacked(weights, suffix))
    with open_weights(tmp_path / "one") as one, open_weights(tmp_path / "other") as other:
        assert one.names() == other.names()
        assert [one.spec(name) for name in one.names()] == [other.spec(name) for name in one.names()]
        assert one.fingerprint == other.fingerprint


def test_stacks_of_mixtral_need_its_newer_names(tmp_path):
    config = decoder.CONFIGS["mixtral"]
    newer = {}
    for name, value in decoder.random_weights(config, SEED).items():
        place = name.replace("block_sparse_moe", "mlp").replace(".w1.", ".gate_proj.")
        newer[place.replace(".w3.", ".up_proj.").replace(".w2.", ".down_proj.")] = value
    decoders.write(tmp_path / "hf", config, stacked(newer))
    with open_weights(tmp_path / "hf") as weights:
        assert weights.has("model.layers.2.mlp.experts.4.up_proj.weight")


@pytest.mark.parametrize(
    ("shapes", "what"),
    [
        ([("m.experts.gate_up_proj", (2, 5, 4))], "gate_proj and up_proj of one size"),
        ([("m.experts.down_proj", (1025, 4, 4))], "at most 1024 experts"),
        ([("m.experts.w1", (2, 4, 4)), ("m.experts.w1.weight", (2, 4, 4))], "hold the same experts"),
    ],
)
def test_stacks_that_cannot_be(shapes, what):
    with pytest.raises(WeightError, match=what):
        unstacked(shapes)


def test_missing_experts_are_named(tmp_path):
    config = decoder.CONFIGS["qwen3-moe"]
    source = decoders.write(tmp_path / "hf", config, decoder.random_weights(config, SEED))
    (source / "config.json").write_text(json.dumps({**config, "num_experts": 9}))
    weights = decoder.random_weights(config, SEED)
    weights.pop("model.layers.0.mlp.experts.7.up_proj.weight")
    save_file(weights, source / "model.safetensors")
    convert_model(source, tmp_path / "model")
    with pytest.raises(WeightError, match=r"experts\.7\.up_proj\.weight', but config\.json says 9 experts"):
        ArrowEngine(tmp_path / "model")
