"""What is read of a file before anybody asks for it."""

from __future__ import annotations

import contextlib
import os
import resource
import threading

import numpy as np
import pytest

from arrowmind import _native
from arrowmind.errors import IntegrityError, WeightError
from arrowmind.weights import WeightFile, write_weights
from arrowmind.weights.tensor import float_tensor, int8_tensor

TABLE, HEAD, NORM = "model.embed_tokens.weight", "lm_head.weight", "model.layers.0.norm.weight"
QUERY, ROUTER = "model.layers.0.self_attn.q_proj.weight", "model.layers.0.mlp.gate.weight"
EXPERTS = tuple(f"model.layers.0.mlp.experts.{i}.up_proj.weight" for i in range(3))
DENSE = (TABLE, QUERY, NORM, HEAD)
CHUNK = 64 << 10
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


def early(path, hashed=True):
    return _native.EarlyWeights(os.fsencode(path), hashed)


def read(path, hashed):
    """Names of the tensors whose codes are read."""
    ranges = early(path, hashed).read()
    with WeightFile.open(path) as file:
        # What is no code comes first, though it lies behind.
        codes = file.offset(file.names()[0], "scales")
        assert ranges == sorted(ranges, key=lambda part: (part[0] < codes, part[0]))

        def is_read(name, buffer, size):
            at = file.offset(name, buffer)
            return any(begin <= at and at + size <= begin + length for begin, length in ranges)

        for name in file.names():
            if name != NORM:
                assert is_read(name, "scales", 4 * SIDE)
                assert is_read(name, "sums", 4 * SIDE) or file.tensor(name).sums is None
        return {name for name in file.names() if is_read(name, "codes", file.spec(name).codes_bytes)}


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (DENSE, {TABLE, NORM, HEAD}),
        ((*DENSE, ROUTER, *EXPERTS), {TABLE, QUERY, NORM, HEAD, ROUTER}),
    ],
)
@pytest.mark.parametrize("hashed", [False, True])
def test_what_stays_is_read(tmp_path, names, wanted, hashed):
    path = tmp_path / "weights.arrow"
    write(path, names)
    assert read(path, hashed) == wanted


@contextlib.contextmanager
def descriptors(count):
    """No more than so many can be opened meanwhile; None: as many as before."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    if count is not None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + count, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="the system takes no advice on files")
@pytest.mark.parametrize("hashed", [False, True])
@pytest.mark.parametrize("room", [None, 1, 2, 3], ids=lambda room: f"{room}-descriptors")
def test_what_was_read_is_in_memory(tmp_path, hashed, room):
    """Through a pipe, or where there is no descriptor left for one, by copies."""
    path = tmp_path / "weights.arrow"
    write(path, DENSE)
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        with descriptors(room):
            ranges = early(path, hashed=hashed).read()
        assert ranges
        for offset, size in ranges:
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
        early(path).read()


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
            ranges = early(path, hashed=bool(place % 2)).read()
        except WeightError:
            continue
        assert all(begin >= 0 and begin + size <= len(damaged) for begin, size in ranges)


def test_who_is_ended_reads_no_more(tmp_path):
    """The file is told all the same: who opens it may wait for that."""
    path = tmp_path / "weights.arrow"
    write(path, DENSE)
    ended, other = early(path), early(path)
    ended.end()
    for reader in (ended, other):
        reader.read()
    _, tree = ended.opened()
    _, read_to_its_end = other.opened()
    assert tree.hashed_chunks <= 1 < read_to_its_end.hashed_chunks  # its own levels


def test_what_was_hashed_is_not_hashed_again(tmp_path):
    path = tmp_path / "weights.arrow"
    write(path, DENSE)
    reader = early(path)
    reader.read()
    _, tree = reader.opened()
    with WeightFile.open(path, early=reader) as file:
        known = tree.hashed_chunks
        for name in (TABLE, NORM, HEAD):
            file.tensor(name).verify()
        # What describes the tensors, and a matrix that may come and go.
        assert tree.hashed_chunks - known <= 8 + SIDE * SIDE // CHUNK
        assert file.root == tree.root.hex()


def test_a_file_is_opened_while_it_is_read(tmp_path):
    path = tmp_path / "weights.arrow"
    write(path, DENSE)
    reader = early(path)
    thread = threading.Thread(target=reader.read)
    thread.start()
    with WeightFile.open(path, early=reader) as file:
        file.touch(_native.ThreadPool(2))
        file.verify()
    thread.join()


@pytest.mark.parametrize("name", [TABLE, HEAD])
def test_damage_is_told_by_who_asks_for_the_tensor(tmp_path, name):
    path = tmp_path / "weights.arrow"
    write(path, DENSE)
    with WeightFile.open(path) as file:
        at = file.offset(name) + CHUNK  # behind what describes the tensors
    damaged = bytearray(path.read_bytes())
    damaged[at] ^= 4
    path.write_bytes(damaged)
    reader = early(path)
    with pytest.raises(IntegrityError, match="what a model needs"):
        reader.read()
    with WeightFile.open(path, early=reader) as file:
        file.touch(_native.ThreadPool(1))
        with pytest.raises(IntegrityError, match=name):
            file.tensor(name).verify()


def test_what_cannot_be_opened_early_is_opened_again(tmp_path):
    """Whoever opens it says what is wrong."""
    path = tmp_path / "weights.arrow"
    path.write_bytes(b"no Arrow file")
    reader = early(path)
    with pytest.raises(WeightError):
        reader.read()
    assert reader.opened() is None
    with pytest.raises(WeightError, match=r"weights\.arrow"):
        WeightFile.open(path, early=reader)
