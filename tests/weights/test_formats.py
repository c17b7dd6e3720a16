"""Layouts: the native packing against the definition in the contract, for every awkward shape."""

from __future__ import annotations

import numpy as np
import pytest

from arrowmind.errors import WeightError
from arrowmind.weights.formats import LAYOUTS, NUMBER_TYPES, encoded_bytes, pack, padded, unpack
from arrowmind.weights.roles import join_name, role_of, split_name, storage_order

SHAPES = [(1, 1), (15, 3), (16, 4), (17, 5), (33, 64), (48, 7), (2, 129)]


def packed_by_definition(values: np.ndarray, panel: int, group: int) -> np.ndarray:
    n, k = (padded(size, unit) for size, unit in zip(values.shape, (panel, group), strict=True))
    full = np.zeros((n, k), values.dtype)
    full[: values.shape[0], : values.shape[1]] = values
    return full.reshape(n // panel, panel, k // group, group).transpose(0, 2, 1, 3).reshape(-1)


@pytest.mark.parametrize("kind", NUMBER_TYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_packing_follows_the_definition_and_back(kind, shape):
    number = NUMBER_TYPES[kind]
    values = np.random.default_rng(3).integers(-127, 128, shape).astype(number.dtype)
    for layout in ("row", number.packed):
        order = LAYOUTS[layout]
        codes = pack(kind, layout, values)
        assert codes.size == encoded_bytes(kind, layout, shape)
        if layout != "row":
            expected = packed_by_definition(values, order.panel, order.group)
            assert np.array_equal(codes, expected.view(np.uint8))
        assert np.array_equal(unpack(kind, layout, shape, codes), values)


def test_sizes_do_not_overflow():
    assert encoded_bytes("fp32", "row", (2**31 - 1, 2**31 - 1, 2**31 - 1)) == 4 * (2**31 - 1) ** 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("int3", "row", (1,)), "quant_type 'int3' is unknown"),
        (("fp32", "n16k4", (1, 1)), "does not go with fp32; use one of row, n16"),
        (("int8", "n16", (1, 1)), "use one of row, n16k4"),
        (("fp32", "n16", (1, 2, 3)), "is for matrices"),
    ],
)
def test_what_does_not_go_together_is_named(arguments, message):
    with pytest.raises(WeightError, match=message):
        encoded_bytes(*arguments)


def test_codes_of_another_size_are_refused():
    with pytest.raises(WeightError, match="needs 64 bytes, not 60"):
        unpack("fp32", "n16", (1, 1), np.zeros(60, np.uint8))


@pytest.mark.parametrize(
    ("name", "shape", "role"),
    [
        ("embeddings.word_embeddings.weight", (9, 4), "table"),
        ("model.embed_tokens.weight", (9, 4), "table"),
        ("transformer.wte.weight", (9, 4), "table"),
        ("encoder.layer.0.output.dense.weight", (9, 4), "linear"),
        ("encoder.layer.0.output.dense.bias", (9,), "vector"),
        ("encoder.layer.0.output.LayerNorm.weight", (9,), "vector"),
        ("conv1.weight", (9, 4, 3), "vector"),
        ("class_embedding", (1, 9), "vector"),
    ],
)
def test_roles(name, shape, role):
    assert role_of(name, shape) == role
    assert join_name(*split_name(name)) == name


def test_order_in_the_file_puts_projections_side_by_side():
    names = [
        f"encoder.layer.{layer}.attention.self.{name}.weight"
        for layer in (10, 2)
        for name in ("key", "value", "query")
    ]
    ordered = sorted(names, key=storage_order)
    assert [name.split(".")[2] for name in ordered] == ["2"] * 3 + ["10"] * 3
    assert [name.split(".")[5] for name in ordered] == ["query", "key", "value"] * 2


def test_experts_lie_behind_all_that_stays():
    layers = [f"model.layers.{layer}." for layer in (0, 1, 10)]
    stays = [f"{layer}{part}" for layer in layers for part in ("mlp.gate.weight", "self_attn.q_proj.bias")]
    stays += ["lm_head.weight", "model.embed_tokens.weight"]
    stays.append("model.layers.1.mlp.shared_experts.up_proj.weight")
    experts = [
        f"{layer}mlp.experts.{expert}.{part}_proj.weight"
        for layer in layers
        for expert in (0, 2, 10)
        for part in ("gate", "up", "down")
    ]
    ordered = sorted([*reversed(experts), *stays], key=storage_order)
    assert ordered[len(stays) :] == experts
