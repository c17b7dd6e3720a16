"""Which bytes are hashed before a model of which parts come and go is compiled."""

from __future__ import annotations

import os

import numpy as np
import pytest

from arrowmind import _native
from arrowmind.columnar import ArrowFile
from arrowmind.errors import InvalidArgumentError
from arrowmind.weights import Moving, StreamedWeights, WeightFile, write_weights
from arrowmind.weights.tensor import int8_tensor

CHUNK = 64 << 10


def write(path, seed=5, side=512):
    chance = np.random.default_rng(seed)
    names = [f"layer.{i}.weight" for i in range(4)]
    tensors = [
        int8_tensor(name, chance.integers(-127, 128, (side, side), np.int8), np.ones(side, np.float32))
        for name in names
    ]
    write_weights(path, tensors, {"model": {}})
    return names


def test_what_stays_is_hashed_and_what_comes_and_goes_is_not(tmp_path):
    path = tmp_path / "weights.arrow"
    names = write(path)
    pool = _native.ThreadPool(2)
    with WeightFile.open(path) as file:
        tree = file.tensor(names[0]).tree
        groups = [Moving((name,), place) for place, name in enumerate(names[:3])]
        streamed = StreamedWeights(file, groups, 1 << 20)
        before = tree.hashed_chunks
        streamed.touch(pool)
        hashed = (tree.hashed_chunks - before) * CHUNK
        moving = 3 * 512 * 512
        assert 512 * 512 <= hashed < path.stat().st_size - moving + 8 * CHUNK
        for name in names:  # scales and sums are known by now
            streamed.tensor(name)
        streamed.tensor(names[3]).verify()
        assert (tree.hashed_chunks - before) * CHUNK == hashed


@pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="the system takes no advice on files")
@pytest.mark.parametrize("threads", [1, 3])
def test_what_is_touched_comes_from_the_disk_and_is_hashed(tmp_path, threads):
    """Of several megabytes that are not in memory, each part in the order in which it lies there."""
    path = tmp_path / "weights.arrow"
    names = write(path, side=2000)
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    with WeightFile.open(path) as file:
        file.touch(_native.ThreadPool(threads))
        tree = file.tensor(names[0]).tree
        done = tree.hashed_chunks
        assert done * CHUNK >= sum(file.spec(name).codes_bytes for name in names)
        for name in names:
            file.tensor(name).verify()
        assert tree.hashed_chunks == done


def test_a_tensor_is_described_once(tmp_path):
    path = tmp_path / "weights.arrow"
    names = write(path)
    with WeightFile.open(path) as file:
        streamed = StreamedWeights(file, [Moving((names[0],), 0)], 1 << 20)
        assert streamed.tensor(names[0]) is streamed.tensor(names[0])
        assert streamed.has(names[0])
        assert not streamed.has("layer.9.weight")


def test_small_buffers_are_there_again_after_they_were_forgotten(tmp_path):
    path = tmp_path / "weights.arrow"
    names = write(path)
    with WeightFile.open(path) as file:
        before = [file.tensor(name).scales.copy() for name in names]
        file.forget_small_buffers()
        for name, scales in zip(names, before, strict=True):
            np.testing.assert_array_equal(file.tensor(name).scales, scales)


@pytest.mark.parametrize("place", [(0, 1 << 40), (-1, 4), (4, -1), (1 << 62, 1 << 62)])
def test_pages_outside_of_the_file_are_not_forgotten(tmp_path, place):
    path = tmp_path / "weights.arrow"
    write(path)
    with ArrowFile.open(path) as file, pytest.raises(InvalidArgumentError, match=r"has \d+ bytes, not"):
        file.forget_pages(*place)
