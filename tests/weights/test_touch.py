"""Which bytes are hashed before a model of which parts come and go is compiled."""

from __future__ import annotations

import os

import numpy as np
import pytest

from arrowmind import _native
from arrowmind.weights import Moving, StreamedWeights, WeightFile, write_weights
from arrowmind.weights.reading_ahead import read_ahead
from arrowmind.weights.tensor import int8_tensor

CHUNK = 64 << 10


def write(path, seed=5):
    chance = np.random.default_rng(seed)
    names = [f"layer.{i}.weight" for i in range(4)]
    tensors = [
        int8_tensor(name, chance.integers(-127, 128, (512, 512), np.int8), np.ones(512, np.float32))
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


def test_a_tensor_is_described_once(tmp_path):
    path = tmp_path / "weights.arrow"
    names = write(path)
    with WeightFile.open(path) as file:
        streamed = StreamedWeights(file, [Moving((names[0],), 0)], 1 << 20)
        assert streamed.tensor(names[0]) is streamed.tensor(names[0])
        assert streamed.has(names[0])
        assert not streamed.has("layer.9.weight")


@pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="the system takes no advice on files")
def test_what_stays_is_asked_for_before_it_is_needed(tmp_path, monkeypatch):
    path = tmp_path / "weights.arrow"
    names, asked, threads = write(path), [], []
    monkeypatch.setattr(os, "posix_fadvise", lambda _, at, size, __: asked.append((at, at + size)))
    monkeypatch.setattr(
        "arrowmind.weights.file.read_ahead", lambda *given: threads.append(read_ahead(*given))
    )
    with WeightFile.open(path) as file:
        file.read_ahead(names[:3])
        threads[0].join()
        moving = {file.offset(name) for name in names[:3]}
        starts = {start for start, _ in asked}
        assert file.offset(names[3]) in starts
        assert not moving & starts
        for name in names:  # scales and sums of all
            for buffer in ("scales", "sums"):
                at = file.offset(name, buffer)
                assert any(start <= at and at + 4 * 512 <= end for start, end in asked), (name, buffer)


def test_a_file_that_is_gone_is_not_read_ahead(tmp_path):
    thread = read_ahead(tmp_path / "gone", [(0, 1)])
    if thread is not None:
        thread.join()
