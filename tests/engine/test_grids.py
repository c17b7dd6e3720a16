"""The engine on weights with groups: the numbers of the file, and the same bits for any batch and kernel."""

from __future__ import annotations

import numpy as np
import pytest
from tests.reference import folder
from tests.reference.grid import nearest

from arrowmind import ArrowEngine, _native
from arrowmind.weights import convert_model, open_weights, write_weights
from arrowmind.weights.convert import copy_companions
from arrowmind.weights.formats import Grid
from arrowmind.weights.roles import role_of
from arrowmind.weights.tensor import float_tensor, grid_tensor

TEXTS = ["the cat sat on the mat.", "", "a dog", "the dog ran far away, and back!", "cat " * 30, "mat"]
GRIDS = [
    Grid("int8", 32),
    Grid("int4", 16, "e4m3"),
    Grid("int4", 32, "fp16", zero_points=True),
    Grid("int4", 0, "fp32"),
    Grid("int2", 64, "u8", zero_points=True),
    Grid("fp4", 32, "e8m0"),
    Grid("trellis2", 32, "u8"),
    Grid("trellis3", 128, "fp16"),
]


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return folder.write(tmp_path_factory.mktemp("original") / "tiny", folder.weights())


def quantised(original, path, grid_for, *, activation="int8", as_floats=False):
    """A model folder with each matrix on the grid `grid_for` names, or with the numbers it then holds."""
    path.mkdir()
    with open_weights(original) as weights:
        copy_companions(original, path, weights)

        def tensors():
            for name in weights.names():
                values = weights.tensor(name).to_float32()
                role = role_of(name, values.shape)
                grid = grid_for(name, role) if role != "vector" else None
                if grid is None:
                    yield float_tensor(name, values).for_kernels()
                    continue
                if role == "table" and grid.code_type.trellis is not None:  # rows are looked up one by one
                    grid = Grid("int4", 16, "fp16")
                matrix = nearest(grid, values)
                if as_floats:
                    yield float_tensor(name, matrix.values()).for_kernels()
                else:
                    yield grid_tensor(name, matrix, activation=activation)

        write_weights(path / "weights.arrow", tensors())
    return path


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_float_activations_give_the_bits_of_a_float_model(original, tmp_path, grid):
    """Tables, scales and levels: every number is what the file says, whatever the kernel does with it."""
    ours = quantised(original, tmp_path / "grid", lambda *_: grid, activation="fp32")
    floats = quantised(original, tmp_path / "floats", lambda *_: grid, as_floats=True)
    expected = ArrowEngine(floats, threads=2).encode(TEXTS)
    assert np.array_equal(ArrowEngine(ours, threads=2).encode(TEXTS), expected)


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_codes_in_blocks_lose_little(original, tmp_path, grid):
    ours = quantised(original, tmp_path / "grid", lambda *_: grid)
    floats = quantised(original, tmp_path / "floats", lambda *_: grid, as_floats=True)
    found = ArrowEngine(ours, threads=2).encode(TEXTS)
    expected = ArrowEngine(floats, threads=2).encode(TEXTS)
    assert not np.array_equal(found, expected)
    assert ((found * expected).sum(axis=1) > 0.999).all()


def mixed(name, role):
    """Query, key and value each on another grid, one of them on none."""
    if role == "table":
        return Grid("int4", 0, "fp32")
    choice = {"query": Grid("int4"), "key": None, "value": Grid("int2", 64, "u8", zero_points=True)}
    return choice.get(name.split(".")[-2], Grid("int4", 128))


@pytest.mark.parametrize("threads", [1, 3])
def test_any_batch_gives_the_same_bits(original, tmp_path, threads):
    path = quantised(original, tmp_path / "mixed", mixed)
    engine = ArrowEngine(path, threads=threads)
    whole = engine.encode(TEXTS * 20)
    alone = np.concatenate([ArrowEngine(path, threads=1).encode([text]) for text in TEXTS])
    assert np.array_equal(whole, np.concatenate([alone] * 20))


def test_mixed_grids_match_the_numbers_they_hold(original, tmp_path):
    found = ArrowEngine(quantised(original, tmp_path / "mixed", mixed)).encode(TEXTS)
    floats = quantised(original, tmp_path / "floats", mixed, as_floats=True)
    expected = ArrowEngine(floats).encode(TEXTS)
    assert ((found * expected).sum(axis=1) > 0.999).all()


@pytest.mark.parametrize("isa", [isa["name"] for isa in _native.isas() if isa["enabled"]])
def test_any_instruction_set_gives_the_same_bits(original, tmp_path, monkeypatch, isa):
    path = quantised(original, tmp_path / "mixed", mixed)
    expected = ArrowEngine(path, threads=1).encode(TEXTS)
    monkeypatch.setenv("ARROWMIND_MAX_ISA", isa)
    _native.reload_environment()
    try:
        assert np.array_equal(ArrowEngine(path, threads=1).encode(TEXTS), expected)
    finally:
        monkeypatch.undo()
        _native.reload_environment()


def test_conversion_keeps_the_codes(original, tmp_path):
    path = quantised(original, tmp_path / "mixed", mixed)
    convert_model(path, tmp_path / "parquet", formats=("parquet-v2",))
    convert_model(tmp_path / "parquet", tmp_path / "back")
    assert np.array_equal(ArrowEngine(tmp_path / "back").encode(TEXTS), ArrowEngine(path).encode(TEXTS))
