"""Blocks as codes and scales of ours: the same values to the last bit, and the same bytes back."""

from __future__ import annotations

import numpy as np
import pytest
from tests.interchange.forge import write_gguf
from tests.reference import gguf as reference

from arrowmind import _native
from arrowmind.weights.formats import Grid, GridCodes
from arrowmind.weights.gguf.grids import from_blocks, grid_of_blocks, to_blocks

ROWS, COLUMNS = 6, 96


def sound_blocks(kind, rng):
    """Random codes with finite scales, those of Q4_0 of either sign."""
    size = reference.SIZES[kind][1]
    blocks = rng.integers(0, 256, (ROWS * COLUMNS // 32, size), dtype=np.uint8)
    if kind == "MXFP4":
        blocks[:, 0] = rng.integers(1, 250, len(blocks))
        return blocks
    scales = rng.normal(size=len(blocks)).astype(np.float16)
    if kind == "Q8_0":
        blocks[:, 2:][blocks[:, 2:] == 0x80] = 0x81
    blocks[:, :2] = scales[:, None].view(np.uint8)
    return blocks


def grid_of(kind, blocks, path):
    path.write_bytes(write_gguf({}, {"x": (kind, (ROWS, COLUMNS), blocks.tobytes())}))
    return from_blocks(kind, *_native.GgufFile.open(bytes(path)).grid("x"))


@pytest.mark.parametrize("kind", ["Q8_0", "Q4_0", "MXFP4"])
def test_values_and_bytes(kind, rng, tmp_path):
    blocks = sound_blocks(kind, rng)
    grid = grid_of(kind, blocks, tmp_path / "a")
    assert np.array_equal(grid.values().reshape(-1), reference.decode(kind, blocks))
    found, back = to_blocks(grid)
    assert found == kind
    assert back.tobytes() == blocks.tobytes()


@pytest.mark.parametrize("kind", ["Q8_0", "Q4_0"])
def test_scales_keep_their_sign_and_need_no_zero_points(kind, rng, tmp_path):
    blocks = sound_blocks(kind, rng)
    grid = grid_of(kind, blocks, tmp_path / "a")
    assert (grid.scales < 0).any()
    assert grid.grid == Grid({"Q8_0": "int8", "Q4_0": "int4"}[kind], 32, "fp16")
    assert grid.grid == grid_of_blocks(kind, blocks)


def test_a_zero_that_has_a_sign(rng, tmp_path):
    blocks = sound_blocks("Q4_0", rng)
    blocks[0, :2] = (0x00, 0x80)
    assert to_blocks(grid_of("Q4_0", blocks, tmp_path / "a"))[1].tobytes() == blocks.tobytes()


@pytest.mark.parametrize(
    ("kind", "at", "value"),
    [
        ("Q8_0", slice(0, 2), (0x00, 0x7C)),
        ("Q4_0", slice(0, 2), (0x01, 0xFC)),
        ("MXFP4", slice(0, 1), (255,)),
        ("Q8_0", slice(5, 6), (0x80,)),
    ],
)
def test_blocks_that_are_none_of_our_grid(kind, at, value, rng, tmp_path):
    blocks = sound_blocks(kind, rng)
    blocks[3, at] = value
    assert grid_of(kind, blocks, tmp_path / "a") is None


def test_grids_that_gguf_does_not_have(rng):
    codes = rng.integers(0, 16, (4, 64), dtype=np.uint8)
    half = np.ones((4, 2), np.float16)
    zeros = np.full((4, 2), 100, np.uint8)
    assert to_blocks(GridCodes(Grid("int4", 32, "fp16", zero_points=True), codes, half, zeros)) is None
    assert to_blocks(GridCodes(Grid("int4", 64, "fp16"), codes, half[:, :1])) is None
    assert to_blocks(GridCodes(Grid("int2", 32, "fp16"), codes & 3, half)) is None
    ragged = GridCodes(Grid("int4", 32, "fp16"), np.ascontiguousarray(codes[:, :40]), half)
    assert to_blocks(ragged) is None
