"""Grids: what they hold, how they are packed, stored and read back, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reference.grid import TYPES, grids_of, random_codes

from arrowmind.errors import IntegrityError, WeightError
from arrowmind.weights import ParquetWeights, WeightFile, write_parquet, write_weights
from arrowmind.weights.formats import CODE_TYPES, SCALE_TYPES, Grid, GridCodes, encode_scales
from arrowmind.weights.formats.scales import decode_scales, restore_scales
from arrowmind.weights.tensor import Tensor, float_tensor, grid_tensor, int8_tensor

TABLE = "model.embed_tokens.weight"

SEED = 20261121
GRIDS = [grid for name in TYPES.values() for grid in grids_of(name)]


def matrix(grid: Grid, n: int = 18, k: int = 70) -> GridCodes:
    return random_codes(np.random.default_rng(SEED), grid, n, k)


def assert_equal(a: GridCodes, b: GridCodes) -> None:
    assert a.grid == b.grid
    for one, other in ((a.codes, b.codes), (a.scales, b.scales), (a.zeros, b.zeros), (a.outer, b.outer)):
        assert (one is None) == (other is None)
        assert one is None or (one.dtype == other.dtype and np.array_equal(one, other))


@pytest.mark.parametrize("grid", GRIDS, ids=str)
@pytest.mark.parametrize("name", ["layer.weight", "word_embeddings.weight"])
def test_a_file_gives_back_every_bit(grid, name, tmp_path):
    original = matrix(grid)
    tensor = grid_tensor(name, original)
    assert_equal(tensor.grid_codes(), original)
    write_weights(tmp_path / "weights.arrow", [tensor])
    with WeightFile.open(tmp_path / "weights.arrow") as weights:
        weights.verify()
        assert_equal(weights.tensor(name).grid_codes(), original)
        assert weights.spec(name).grid == grid
        write_parquet(weights, tmp_path / "weights.parquet")
        fingerprint = weights.fingerprint
    with ParquetWeights.open(tmp_path / "weights.parquet") as parquet:
        assert_equal(parquet.tensor(name).grid_codes(), original)
        assert parquet.fingerprint == fingerprint


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_values_are_levels_less_zeros_times_scales(grid):
    codes = matrix(grid)
    for n, k in ((0, 0), (7, 69), (17, 33)):
        group = 0 if grid.group_size == 0 else k // grid.group_size
        level = np.float32(grid.levels_at(codes.codes)[n, k])
        if grid.zero_points:
            level -= np.float32(codes.zeros[n, group]) * np.float32(1 / (16 if grid.bits == 4 else 64))
        assert codes.values()[n, k] == level * codes.effective_scales[n, group]


def test_levels():
    assert CODE_TYPES["int2"].levels.tolist() == [-1.5, -0.5, 0.5, 1.5]
    assert CODE_TYPES["int4"].levels.tolist() == list(range(-8, 8))
    assert CODE_TYPES["fp4"].levels.tolist()[:8] == [0, 0.5, 1, 1.5, 2, 3, 4, 6]
    assert CODE_TYPES["fp4"].levels[15] == -6
    assert CODE_TYPES["int8"].levels[255] == -1


def test_true_bits():
    """Of 384 x 384: codes, and per group of 32 a scale of 16 bits; or 8 + 8 bits and 32 per row."""
    assert Grid("int4").bits_per_weight(384, 384) == 4.5
    expected = 2 + 16 / 32 + 32 / 384
    assert Grid("int2", 32, "u8", zero_points=True).bits_per_weight(384, 384) == pytest.approx(expected)
    assert Grid("fp4", 32, "e8m0").bits_per_weight(384, 384) == 4.25


def test_small_float_scales():
    e4m3, e8m0 = SCALE_TYPES["e4m3"].values, SCALE_TYPES["e8m0"].values
    assert e4m3[[0, 1, 7, 8, 0x38, 0x7E]].tolist() == [0, 2**-9, 7 * 2**-9, 2**-6, 1, 448]
    assert np.isnan(e4m3[127:]).all()
    assert e8m0[[0, 1, 127, 254]].tolist() == [0, 2.0**-126, 1, 2.0**127]
    assert np.isnan(e8m0[255])


@pytest.mark.parametrize("name", list(SCALE_TYPES))
@settings(max_examples=200, derandomize=True)
@given(values=st.lists(st.floats(2.0**-14, 100, width=32), min_size=1, max_size=20), zero=st.booleans())
def test_scales_are_the_nearest_and_none_vanishes(name, values, zero):
    wanted = np.array([values + [0.0] * zero], np.float32)
    stored, outer = encode_scales(name, wanted)
    found = decode_scales(name, stored, outer)
    assert ((found > 0) == (wanted > 0)).all()
    assert np.array_equal(restore_scales(name, decode_scales(name, stored, None)), stored)
    largest = wanted.max()
    bounds = {
        "fp32": 0 * wanted,
        "fp16": wanted * 2.0**-11,
        "u8": np.full_like(wanted, largest / 255),
        "e8m0": wanted * (1 / 3 + 1e-6) + 0,
        "e4m3": np.maximum(wanted / 16, largest / 448 * 2.0**-9),
    }
    assert (np.abs(found - wanted) <= bounds[name] * (1 + 1e-6)).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -1.0])
@pytest.mark.parametrize("name", list(SCALE_TYPES))
def test_scales_that_are_none_are_refused(name, bad):
    with pytest.raises(WeightError, match="finite"):
        encode_scales(name, np.array([[1.0, bad]], np.float32))


def test_scales_that_do_not_fit_are_refused():
    with pytest.raises(WeightError, match="does not fit fp16"):
        encode_scales("fp16", np.array([[1e6]], np.float32))


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        (Grid("int3"), "has no grid"),
        (Grid("int4", 48), "group size 48"),
        (Grid("int4", 32, "fp8"), "scale_type 'fp8'"),
        (Grid("int4", 32, "fp32"), "does not go with group size"),
        (Grid("int4", 0, "u8"), "does not go with group size"),
        (Grid("fp4", 32, "e8m0", zero_points=True), "no zero points"),
        (Grid("int8", 32, "fp16", zero_points=True), "no zero points"),
    ],
)
def test_grids_that_are_none_are_refused(grid, message):
    with pytest.raises(WeightError, match=message):
        grid.check()


def test_parts_that_do_not_go_together_are_refused():
    good = matrix(Grid("int2", 32, "u8", zero_points=True))
    for change in (
        {"codes": good.codes.astype(np.int16)},
        {"scales": good.scales[:, :1]},
        {"zeros": None},
        {"outer": None},
        {"zeros": good.zeros[:3]},
    ):
        with pytest.raises(WeightError, match="do not have"):
            replace(good, **change)


def forged(tmp_path, **buffers) -> None:
    """A file of one tensor whose buffers are replaced; its checksums are right."""
    tensor = grid_tensor("layer.weight", matrix(Grid("int4", 16, "e4m3", zero_points=True)))
    names = ("codes", "scales", "zero_points", "sums", "outer_scales")
    parts = {name: buffers.get(name, getattr(tensor, name)) for name in names}
    write_weights(tmp_path / "weights.arrow", [Tensor(tensor.spec, **parts)])
    with WeightFile.open(tmp_path / "weights.arrow") as weights:
        weights.tensor("layer.weight")


@pytest.mark.parametrize(
    ("buffers", "message"),
    [
        ({"scales": np.full(32 * 5, 0x7F, np.uint8)}, "not a finite positive"),
        ({"scales": np.full(32 * 5, 0x80, np.uint8)}, "not a finite positive"),
        ({"scales": np.ones(32 * 4, np.uint8)}, "128 bytes of scales are stored, 160 needed"),
        ({"zero_points": None}, "0 bytes of zero_points"),
        ({"zero_points": np.ones(7, np.uint8)}, "64 bytes of zero_points"),
        ({"outer_scales": np.full(32, np.inf, np.float32)}, "not a finite positive"),
        ({"outer_scales": None}, "0 bytes of outer_scales"),
        ({"sums": np.ones(32, np.int32)}, "128 bytes of sums are stored, 0 needed"),
    ],
)
def test_buffers_that_lie_are_refused(tmp_path, buffers, message):
    with pytest.raises(IntegrityError, match=message):
        forged(tmp_path, **buffers)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"group_size": 17}, "group size 17"),
        ({"group_size": -2}, "group size -2"),
        ({"scale_type": "fp99"}, "scale_type 'fp99'"),
        ({"zero_type": "u4"}, "zero_type 'u4'"),
        ({"quant_type": "int7"}, "no grid"),
        ({"shape": (18,)}, "not that of a matrix"),
        ({"shape": (0, 70)}, "not that of a matrix"),
        ({"layout": "n16k4"}, "layout 'n16k4'"),
        ({"quant_axis": -1}, "quant_axis -1"),
        ({"activation": "int16"}, "activation 'int16'"),
    ],
)
def test_descriptions_that_lie_are_refused(change, message):
    spec = grid_tensor("layer.weight", matrix(Grid("int4"))).spec
    spec.check()
    with pytest.raises(WeightError, match=message):
        replace(spec, **change).check()


@pytest.mark.parametrize(
    ("table", "activation"),
    [
        (float_tensor(TABLE, np.ones((16, 32), np.float16)), "fp32"),
        (int8_tensor(TABLE, np.ones((16, 32), np.int8), np.ones(16, np.float32)), "int16"),
        (
            grid_tensor(
                TABLE,
                GridCodes(
                    Grid("int4", 32, "fp16"), np.ones((16, 32), np.uint8), np.ones((16, 1), np.float16)
                ),
            ),
            "int8",
        ),
    ],
)
def test_a_table_as_a_head_meets_activations_that_its_codes_bear(table, activation):
    head = table.as_matrix()
    assert (head.spec.name, head.spec.activation) == (TABLE, activation)
    assert head.spec.layout != "row"
    np.testing.assert_array_equal(head.to_float32(), table.to_float32())
