"""Blocks on disk: what was stored comes back, hostile files are refused, a kill leaves nothing broken."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time

import numpy as np
import pytest
from tests.streaming.blocks import IDENTITY, TOKENS, assert_equal, block, filled

from arrowmind.errors import InvalidArgumentError, StorageError
from arrowmind.streaming import BlockStore, store


def test_blocks_come_back_from_disk_and_while_they_wait(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "_PART_BLOCKS", 5)
    kept = filled(tmp_path / "kept", 13)
    assert (len(kept), len(list(kept.folder.glob("*.arrow")))) == (13, 2)
    for number in range(13):
        grade = ("exact", "quantised", "reduced")[number % 3]
        assert_equal(kept.read(number), block(number, grade))
    assert [(index.first, len(index.scales)) for index in kept.scan()] == [(0, 5), (5, 5), (10, 3)]
    assert kept.bytes == 5 * 1024 + 4 * 512
    kept.close()
    kept.close()
    again = BlockStore(IDENTITY, tmp_path / "kept")
    assert (len(again), again.bytes) == (13, 5 * 1024 + 4 * 512)
    assert_equal(again.read(12), block(12, "exact"))
    again.append(block(13))
    assert_equal(again.read(13), block(13))
    with pytest.raises(InvalidArgumentError, match="block 14 of 14"):
        again.read(14)
    again.close()
    with pytest.raises(InvalidArgumentError, match="is closed"):
        again.append(block(14))


def test_a_part_is_written_when_its_bytes_are_many(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "_PART_BYTES", 3000)
    kept = filled(tmp_path, 8)
    assert len(list(tmp_path.glob("*.arrow"))) >= 1
    kept.close()


def test_a_temporary_store_is_removed_and_those_of_the_dead_too(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    old = tmp_path / "arrowmind-blocks-dead"
    old.mkdir()
    (old / "blocks-00000000.arrow").write_bytes(b"x")
    os.utime(old, (time.time() - 1000,) * 2)
    kept = filled(None, 3)
    assert kept.folder.is_dir()
    assert not old.exists()
    os.utime(kept.folder, (time.time() - 1000,) * 2)
    other = filled(None, 3)  # the first one lives: its lock is held
    assert kept.folder.is_dir()
    kept.close()
    other.close()
    assert list(tmp_path.iterdir()) == []


def test_one_reader_at_a_time_and_folders_that_cannot_be(tmp_path):
    kept = filled(tmp_path / "kept", 1)
    with pytest.raises(StorageError, match="is in use"):
        BlockStore(IDENTITY, tmp_path / "kept")
    kept.close()
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="name a folder"):
        BlockStore(IDENTITY, tmp_path / "file")


def test_a_store_of_another_model_is_refused(tmp_path):
    filled(tmp_path, 2).close()
    for change in ({"fingerprint": "other"}, {"block_tokens": 32}, {"codes": "k4v4"}, {"exact_bytes": 2048}):
        other = store.StoreIdentity(**{**vars(IDENTITY), **change})
        with pytest.raises(StorageError, match=next(iter(change))):
            BlockStore(other, tmp_path)
    (tmp_path / "blocks-00000000.arrow").rename(tmp_path / "blocks-00000001.arrow")
    with pytest.raises(StorageError, match=r"00000000\.arrow is missing"):
        BlockStore(IDENTITY, tmp_path)


def test_no_byte_of_a_part_can_be_changed_to_harm(tmp_path):
    """Every 7th byte, turned over: an error that says so, or the same tokens, keys and values."""
    filled(tmp_path, 4).close()
    path = tmp_path / "blocks-00000000.arrow"
    whole = path.read_bytes()
    refused = 0
    for place in range(0, len(whole), 7):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        path.write_bytes(damaged)
        try:
            kept = BlockStore(IDENTITY, tmp_path)
        except StorageError:
            refused += 1
            continue
        try:
            for number in range(min(4, len(kept))):
                found, expected = (
                    kept.read(number),
                    block(number, ("exact", "quantised", "reduced")[number % 3]),
                )
                assert found.tokens.tolist() == expected.tokens.tolist()
                assert found.payload.tobytes() == expected.payload.tobytes()
        except StorageError:
            refused += 1
        finally:
            kept.close()
    assert refused > len(whole) // 7 // 2
    for size in range(0, len(whole), 97):
        path.write_bytes(whole[:size])
        with pytest.raises(StorageError, match="cannot be used"):
            BlockStore(IDENTITY, tmp_path)


def test_a_part_that_vanishes_is_an_error(tmp_path):
    kept = filled(tmp_path, 3)
    kept.flush()
    (tmp_path / "blocks-00000000.arrow").unlink()
    with pytest.raises(StorageError, match="cannot be used"):
        list(kept.scan())
    with pytest.raises(StorageError, match="cannot be used"):
        kept.read(0)
    kept.close()


def test_a_full_disk_loses_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "_PART_BLOCKS", 2)
    real, full = store.write_part, [True]

    def write(*given):
        if full[0]:
            raise StorageError("no room for it")
        real(*given)

    monkeypatch.setattr(store, "write_part", write)
    kept = BlockStore(IDENTITY, tmp_path)
    kept.append(block(0))
    with pytest.raises(StorageError, match="no room"):
        kept.append(block(1))
    assert_equal(kept.read(1), block(1))
    full[0] = False
    kept.flush()
    assert_equal(kept.read(1), block(1))
    kept.close()


CHILD = """
import sys
sys.path.insert(0, {tests!r})
from tests.streaming.blocks import IDENTITY, block
from arrowmind.streaming import BlockStore, store
store._PART_BLOCKS = 3
kept = BlockStore(IDENTITY, sys.argv[1])
print("ready", flush=True)
number = len(kept)
while True:
    kept.append(block(number))
    number += 1
"""


def test_a_kill_leaves_whole_parts(tmp_path):
    code = CHILD.format(tests=os.fspath(__import__("pathlib").Path(__file__).parents[2]))
    for seconds in (0.05, 0.11, 0.23):
        child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        time.sleep(seconds)
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        kept = BlockStore(IDENTITY, tmp_path)
        for number in range(0, len(kept), max(1, len(kept) // 20)):
            assert kept.read(number).position == TOKENS * number
        assert len(kept) % 3 == 0
        assert [entry.name for entry in tmp_path.iterdir() if entry.name.endswith(".tmp")] == []
        kept.close()


def test_summaries_that_are_no_numbers_become_none(tmp_path):
    kept = filled(tmp_path, 2)
    for bad in (np.nan, np.inf, -np.inf):
        kept.append(block(len(kept), summary=np.full(8, bad, np.float32)))
    kept.flush()
    (index,) = kept.scan()
    assert index.scales[2:].tolist() == [0, 0, 0]
    kept.close()
