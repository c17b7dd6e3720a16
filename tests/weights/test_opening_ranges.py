"""What is read of a file before anybody asks for it."""

from __future__ import annotations

import os

import numpy as np
import pytest

from arrowmind import _native
from arrowmind.errors import WeightError
from arrowmind.weights import WeightFile, write_weights
from arrowmind.weights.tensor import float_tensor, int8_tensor

TABLE, HEAD, NORM = "model.embed_tokens.weight", "lm_head.weight", "model.layers.0.norm.weight"
QUERY, ROUTER = "model.layers.0.self_attn.q_proj.weight", "model.layers.0.mlp.gate.weight"
EXPERTS = tuple(f"model.layers.0.mlp.experts.{i}.up_proj.weight" for i in range(3))
DENSE = (TABLE, QUERY, NORM, HEAD)
SIDE = 384  # squared more than what is read with its neighbours


def write(path, names):
    chance = np.random.default_rng(3)
    codes = [chance.integers(-127, 128, (SIDE, SIDE), np.int8) for _ in names]
    ones = np.ones(SIDE, np.float32)
    tensors = [
        float_tensor(name, ones) if name == NORM else int8_tensor(name, one, ones)
        for name, one in zip(names, codes, strict=True)
    ]
    write_weights(path, tensors, {"model": {}})


def read(path, bounded):
    """Names of the tensors whose codes are read."""
    ranges = _native.read_for_opening(os.fsencode(path), bounded)
    assert ranges == sorted(ranges)
    with WeightFile.open(path) as file:

        def is_read(name, buffer, size):
            at = file.offset(name, buffer)
            return any(begin <= at and at + size <= begin + length for begin, length in ranges)

        for name in file.names():
            if name != NORM:
                assert is_read(name, "scales", 4 * SIDE)
                assert is_read(name, "sums", 4 * SIDE) or file.tensor(name).sums is None
        return {name for name in file.names() if is_read(name, "codes", file.spec(name).codes_bytes)}


@pytest.mark.parametrize(
    ("names", "bounded", "wanted"),
    [
        (DENSE, False, {QUERY, NORM, HEAD}),
        (DENSE, True, {TABLE, NORM, HEAD}),
        ((*DENSE, ROUTER, *EXPERTS), False, {QUERY, NORM, HEAD, ROUTER, *EXPERTS}),
        ((*DENSE, ROUTER, *EXPERTS), True, {TABLE, QUERY, NORM, HEAD, ROUTER}),
    ],
)
def test_what_opening_needs_is_read(tmp_path, names, bounded, wanted):
    path = tmp_path / "weights.arrow"
    write(path, names)
    assert read(path, bounded) == wanted


@pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="the system takes no advice on files")
def test_what_was_read_is_in_memory(tmp_path):
    path = tmp_path / "weights.arrow"
    write(path, DENSE)
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        for offset, size in _native.read_for_opening(os.fsencode(path), bounded=False):
            try:
                there = os.preadv(file.fileno(), [bytearray(size)], offset, os.RWF_NOWAIT)
            except (AttributeError, BlockingIOError, OSError) as error:
                pytest.skip(f"the system does not tell what is in memory, or had no room for it: {error}")
            assert there == size


@pytest.mark.parametrize("content", [None, b"", b"ARROW1", b"ARROW1\0\0" + bytes(200)])
def test_what_is_no_weight_file_is_told(tmp_path, content):
    path = tmp_path / "weights.arrow"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WeightError):
        _native.read_for_opening(os.fsencode(path), bounded=True)


def test_a_damaged_file_is_read_or_refused(tmp_path):
    """No byte of it makes the reader go beyond the file."""
    path = tmp_path / "weights.arrow"
    write(path, DENSE)
    whole = path.read_bytes()
    chance = np.random.default_rng(7)
    end = len(whole)
    places = [*chance.integers(0, 16 << 10, 60), *chance.integers(end - (16 << 10), end, 60)]
    for place in map(int, places):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(chance.integers(8))
        path.write_bytes(damaged)
        try:
            ranges = _native.read_for_opening(os.fsencode(path), bounded=False)
        except WeightError:
            continue
        assert all(begin >= 0 and begin + size <= len(damaged) for begin, size in ranges)
