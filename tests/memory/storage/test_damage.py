"""Damaged, foreign and newer files; full disks."""

from __future__ import annotations

import errno
import json
import logging
import os
import random
import resource
import shutil
import sqlite3

import pytest
from tests.memory.fake_encoder import FakeEncoder

from arrowmind.errors import MemoryStoreError, StoreVersionError
from arrowmind.memory import MemoryStore, steps
from arrowmind.memory.searching import indexing
from arrowmind.memory.searching.index_files import damaged_file
from arrowmind.memory.storage import segment

COUNT = 60


@pytest.fixture
def folder(tmp_path, encoder):
    """A store of one segment, an index and one memory that waits."""
    path = tmp_path / "s"
    with MemoryStore(path, encoder) as store:
        store.remember_many([f"memory number{i} about the blue key" for i in range(COUNT)], metadata={"a": 1})
        store.flush()
        store.remember("waiting for a segment")
    return path


def segment_of(folder):
    return next((folder / "segments").iterdir())


def flip(path, at, bit=0):
    data = bytearray(path.read_bytes())
    data[at] ^= 1 << bit
    path.write_bytes(data)


def test_a_flipped_letter_is_noticed(folder, encoder):
    path = segment_of(folder)
    flip(path, path.read_bytes().index(b"number7 ") + 3)
    with MemoryStore(folder, encoder) as store:
        with pytest.raises(MemoryStoreError, match=r"memory 8 is damaged.*backup"):
            store.get(8)
        assert store.get(9).text.startswith("memory number8 ")
        problems = store.verify().problems
        assert any("checksum mismatch" in problem for problem in problems)
        assert any("memory 8 is damaged" in problem for problem in problems)


def test_verify_notices_any_flipped_bit_of_a_segment(folder, encoder):
    path = segment_of(folder)
    chance, good = random.Random(4), path.read_bytes()
    with MemoryStore(folder, encoder) as store:
        assert store.verify().ok
        for _ in range(60):
            flip(path, chance.randrange(len(good)), chance.randrange(8))
            assert not store.verify().ok
            path.write_bytes(good)
        assert store.verify().ok


@pytest.mark.parametrize("size", [0, 7, 1000, -1])
def test_a_truncated_segment(folder, encoder, size):
    path = segment_of(folder)
    os.truncate(path, size if size >= 0 else path.stat().st_size - 1)
    with MemoryStore(folder, encoder) as store:
        with pytest.raises(MemoryStoreError, match=r"segment .* cannot be used.*bytes"):
            store.recall("key")
        assert not store.verify().ok


def test_a_segment_of_garbage(folder, encoder):
    path = segment_of(folder)
    path.write_bytes(os.urandom(path.stat().st_size))
    with (
        MemoryStore(folder, encoder) as store,
        pytest.raises(MemoryStoreError, match=r"segment .* cannot be used"),
    ):
        store.recall("key")


def test_a_missing_segment(folder, encoder):
    segment_of(folder).unlink()
    with MemoryStore(folder, encoder) as store:
        with pytest.raises(MemoryStoreError, match=r"segment .* is missing; restore"):
            store.recall("key")
        assert "is missing" in store.verify().problems[0]


def test_a_segment_of_a_later_version(tmp_path, encoder, monkeypatch):
    with MemoryStore(tmp_path / "s", encoder) as store:
        store.remember("from the future")
        monkeypatch.setattr(segment, "FORMAT_VERSION", "3")
        store.flush()
        monkeypatch.undo()
    with (
        MemoryStore(tmp_path / "s", encoder) as store,
        pytest.raises(MemoryStoreError, match=r"no memory segment of version 2 \(has '3'\)"),
    ):
        store.recall("future")


@pytest.mark.parametrize("harm", ["delete", "empty", "truncate", "garbage", "no meta"])
def test_a_damaged_index_is_built_again(folder, encoder, caplog, harm):
    generation = next((folder / "index").iterdir())
    for path in generation.iterdir():
        size = path.stat().st_size
        if harm == "delete" or (harm == "no meta" and path.name == "meta.json"):
            path.unlink()
        elif harm == "empty":
            os.truncate(path, 0)
        elif harm == "truncate":
            os.truncate(path, size // 2)
        elif harm == "garbage":
            path.write_bytes(random.Random(size).randbytes(size))
    with MemoryStore(folder, encoder) as store, caplog.at_level(logging.WARNING):
        hits = store.recall("number17", 3)
        assert hits[0].text.startswith("memory number17 ")
        assert "text_index_damaged" in caplog.text
        assert store.verify().ok
        assert store.stats().indexed == COUNT
    caplog.clear()
    with MemoryStore(folder, encoder) as store:
        assert store.recall("number17", 1)[0].explain.text.rank == 1
    assert caplog.text == ""


def test_an_index_that_lost_a_commit_is_built_again(folder, encoder, caplog):
    generation = next((folder / "index").iterdir())
    saved = folder.parent / "saved"
    shutil.copytree(generation, saved)
    with MemoryStore(folder, encoder) as store:
        late = store.remember_many([f"late number{i}" for i in range(100, 120)])
        store.flush()
    shutil.rmtree(generation)
    shutil.copytree(saved, generation)
    with MemoryStore(folder, encoder) as store:
        assert not store.verify().ok
        assert store.recall("number105", 1)[0].id == late[5]
        assert "text_index_damaged" in caplog.text
        assert store.verify().ok


def test_deletions_of_a_commit_that_was_cut_off_are_no_damage(folder, encoder):
    with MemoryStore(folder, encoder) as store:
        store.forget(store.recall("number17", 1)[0].id)
        store.compact()
    generation = next((folder / "index").iterdir())
    for part in json.loads((generation / "meta.json").read_text())["segments"]:
        name = part["segment_id"].replace("-", "")
        (generation / f"{name}.999999.del").write_bytes(b"torn")
    with MemoryStore(folder, encoder) as store:
        assert store.verify().problems == []
        assert store.recall("number18", 1)[0].text.startswith("memory number18 ")


def test_torn_deletions_are_damage(tmp_path):
    meta = {"segments": [{"segment_id": "ab-cd", "deletes": {"opstamp": 7}}], "opstamp": 7}
    (tmp_path / "meta.json").write_text(json.dumps(meta))
    assert damaged_file(tmp_path, None) == ""
    (tmp_path / "abcd.6.del").write_bytes(b"torn")
    assert damaged_file(tmp_path, None) == ""
    (tmp_path / "abcd.7.del").write_bytes(b"torn")
    assert damaged_file(tmp_path, None) == "abcd.7.del"


def test_an_index_is_on_disk_before_the_catalogue_tells_of_it(folder, encoder, monkeypatch):
    order = []
    monkeypatch.setattr(indexing, "sync_folder", lambda path: order.append(path))
    monkeypatch.setattr(indexing, "reached", order.append)
    with MemoryStore(folder, encoder) as store:
        store.remember("one more")
        store.flush()
    index = folder / "index"
    generation = next(index.iterdir())
    assert order == ["index.committed", generation, index, "index.recorded"]


def test_a_later_version_of_the_store(folder, encoder):
    with sqlite3.connect(folder / "catalogue.sqlite") as db:
        db.execute("PRAGMA user_version = 3")
    db.close()
    with pytest.raises(StoreVersionError, match="schema version 3, this package reads up to 2; upgrade"):
        MemoryStore(folder, encoder)


def test_a_catalogue_of_something_else(tmp_path, encoder):
    (tmp_path / "s").mkdir()
    with sqlite3.connect(tmp_path / "s" / "catalogue.sqlite") as db:
        db.execute("CREATE TABLE holiday (place)")
    db.close()
    with pytest.raises(MemoryStoreError, match="SQLite database of something else"):
        MemoryStore(tmp_path / "s", encoder)


def test_a_catalogue_of_garbage(folder, encoder):
    for name in ("catalogue.sqlite-wal", "catalogue.sqlite-shm"):
        (folder / name).unlink(missing_ok=True)
    (folder / "catalogue.sqlite").write_bytes(b"no database at all, but long enough " * 400)
    with pytest.raises(MemoryStoreError, match=r"is damaged.*backup"):
        MemoryStore(folder, encoder)


def test_damaged_pages_of_the_catalogue(folder, encoder):
    path = folder / "catalogue.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    data = bytearray(path.read_bytes())
    for start in range(4096, len(data), 4096):
        data[start : start + 2048] = bytes(2048)
    path.write_bytes(data)
    with pytest.raises(MemoryStoreError):
        MemoryStore(folder, encoder).recall("key")


def test_a_half_made_store_is_completed(tmp_path, encoder):
    (tmp_path / "s" / "segments").mkdir(parents=True)
    (tmp_path / "s" / "index").mkdir()
    (tmp_path / "s" / "catalogue.sqlite").touch()
    with MemoryStore(tmp_path / "s", encoder) as store:
        store.remember("x")
        assert store.verify().ok


def test_a_copy_without_empty_folders(tmp_path, encoder):
    with MemoryStore(tmp_path / "s", encoder) as store:
        id_ = store.remember("x")
    for name in ("segments", "index"):
        (tmp_path / "s" / name).rmdir()
    with MemoryStore(tmp_path / "s", encoder) as store:
        assert store.get(id_).text == "x"
        store.flush()
        assert store.verify().ok


def test_an_index_that_cannot_be_built(folder, encoder, caplog):
    shutil.rmtree(next((folder / "index").iterdir()))

    def no_room(reached: str) -> None:
        if reached == "index.rebuilt":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with MemoryStore(folder, encoder) as store:
        steps.set_hook(no_room)
        try:
            hit = store.recall("memory number17 about the blue key", 1)[0]
        finally:
            steps.set_hook(None)
        assert hit.text.startswith("memory number17 ")
        assert hit.explain.text is None
        assert "by meaning only" in caplog.text
        assert store.recall("number17", 1)[0].explain.text.rank == 1


def test_folders_that_cannot_be_used(tmp_path, encoder):
    (tmp_path / "file").write_text("x")
    with pytest.raises(MemoryStoreError, match="no store can be made here"):
        MemoryStore(tmp_path / "file", encoder)
    with pytest.raises(MemoryStoreError, match="no store can be made here"):
        MemoryStore(tmp_path / "file" / "below", encoder)


def test_a_disk_that_fills_up(tmp_path, encoder):
    """A limit on file sizes stands for the full disk: the kernel refuses the write in the same place."""
    kept = []
    with MemoryStore(tmp_path / "s", encoder) as store:
        store.remember("the blue key")
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
        try:
            with pytest.raises(MemoryStoreError, match=r"nothing more can be written.*free some space"):
                for i in range(1000):
                    kept.append(store.remember(f"filler {i} " + "x" * 1000))
            assert store.recall("blue key")[0].text == "the blue key"
            assert store.get(kept[-1]).text.startswith(f"filler {len(kept) - 1} ")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert [store.get(id_) is not None for id_ in kept] == [True] * len(kept)
        assert len(kept) > 5
        kept.append(store.remember("room again"))
    with MemoryStore(tmp_path / "s", FakeEncoder()) as store:
        assert store.stats().records == len(kept) + 1
        assert store.verify().ok


@pytest.mark.parametrize("step", ["segment.batch_written", "segment.published", "index.rebuilt"])
def test_no_room_for_a_segment_is_no_failure_of_remembering(folder, encoder, caplog, step):
    def no_room(reached: str) -> None:
        if reached == step:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with MemoryStore(folder, encoder) as store:
        if step == "index.rebuilt":
            shutil.rmtree(next((folder / "index").iterdir()))
        steps.set_hook(no_room)
        try:
            ids = store.remember_many([f"wave {i}" for i in range(2100)])
        finally:
            steps.set_hook(None)
        assert "maintenance_failed" in caplog.text
        assert len(set(ids)) == 2100
        assert store.get(ids[-1]).text == "wave 2099"
        assert store.recall("wave 2099", 1)[0].id == ids[-1]
        store.flush()
        assert store.verify().ok
        assert store.stats().records == COUNT + 1 + 2100
