"""Several processes and threads on one store."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time

import numpy as np
import pytest
from tests.memory.fake_encoder import FakeEncoder
from tests.memory.ledger import Ledger
from tests.memory.worker import SETTINGS, Job, ids_for_another_process, start

from arrowmind.errors import MemoryStoreError
from arrowmind.memory import MemoryStore, StoreSettings, steps
from arrowmind.memory.storage.lock import hold_lock


def test_three_writers_and_a_reader(tmp_path):
    folder = tmp_path / "store"
    workers = [start(Job(folder, seed, tag=f"w{seed}", rounds=10)) for seed in range(3)]
    ledger, recalls = Ledger(), 0
    with MemoryStore(folder, FakeEncoder(16), settings=SETTINGS) as store:
        while any(worker.process.is_alive() for worker in workers) or recalls == 0:
            hits = store.recall("word7 word3", 20)
            assert len({hit.id for hit in hits}) == len(hits)
            recalls += 1
            for worker in workers:
                while worker.pipe.poll() and worker.read():
                    pass
            time.sleep(0.01)
    assert [worker.finish() for worker in workers] == [0, 0, 0]
    for worker in workers:
        ledger.read(worker)
    ledger.check(folder)
    with MemoryStore(folder, FakeEncoder(16)) as store:
        assert store.stats().records == len(ledger.stored)


def test_locks_outlive_the_making_of_a_store(tmp_path):
    """Found half-made, as another process leaves it that is at it or was killed."""
    folder = tmp_path / "store"
    folder.mkdir()
    with contextlib.closing(sqlite3.connect(folder / "catalogue.sqlite")) as db:
        db.execute("PRAGMA journal_mode = WAL")
    with MemoryStore(folder, FakeEncoder(16)) as store:
        ids = [store.remember("before another process came")]
        assert start(Job(folder, seed=0, rounds=0)).finish() == 0
        ids.append(store.remember("after it went"))
        assert ids_for_another_process(folder) == ids


def test_a_reader_sees_what_another_opening_writes(tmp_path, encoder):
    with MemoryStore(tmp_path / "s", encoder) as writer, MemoryStore(tmp_path / "s", encoder) as reader:
        assert reader.recall("blue key") == []
        first = writer.remember("the blue key")
        assert [hit.id for hit in reader.recall("blue key")] == [first]
        writer.flush()
        second = writer.remember("another blue key")
        assert {hit.id for hit in reader.recall("blue key")} == {first, second}
        writer.forget(first)
        assert [hit.id for hit in reader.recall("blue key")] == [second]
        writer.compact()
        writer.flush()
        assert [hit.id for hit in reader.recall("blue key")] == [second]
        assert reader.get(first) is None


def test_threads_share_a_store(tmp_path, encoder):
    errors, ids = [], []
    with MemoryStore(tmp_path / "s", encoder, settings=StoreSettings(flush_rows=40)) as store:

        def use(number: int) -> None:
            try:
                for i in range(12):
                    ids.extend(store.remember_many([f"thread{number} item{i} part{j}" for j in range(5)]))
                    hits = store.recall(f"thread{number} item{i}", 5)
                    assert hits[0].text.startswith(f"thread{number} item{i} ")
                    store.get(ids[-1])
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=use, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        assert len(set(ids)) == len(ids) == store.stats().records == 240
        assert store.verify().ok


def test_a_busy_store_is_named_after_a_while(tmp_path, encoder):
    settings = StoreSettings(busy_seconds=0.1)
    with MemoryStore(tmp_path / "s", encoder, settings=settings) as store:
        store.remember("x")
        with hold_lock(tmp_path / "s" / "writer.lock", 1.0):
            with pytest.raises(MemoryStoreError, match="has been rewriting the store for"):
                store.compact()
            # Remembering does not need the lock, nor does a large batch.
            store.remember("y")
            ids = store.remember_many([f"t{i}" for i in range(3000)], np.eye(3000, 64, dtype=np.float32))
            assert len(ids) == 3000
        with (
            store._catalogue.writing(),
            MemoryStore(tmp_path / "s", encoder, settings=settings) as other,
            pytest.raises(MemoryStoreError, match="another process is writing"),
        ):
            other.remember("z")
        assert store.stats().records == 3002


def test_forgetting_while_a_segment_is_written(tmp_path, encoder):
    with (
        MemoryStore(tmp_path / "s", encoder) as store,
        MemoryStore(tmp_path / "s", encoder) as other,
    ):
        ids = store.remember_many(["the blue key", "the red key", "the green key"])
        _at("segment.published", lambda: other.forget(ids[0]), store.flush)
        assert {hit.id for hit in store.recall("key")} == set(ids[1:])
        assert store.stats().forgotten == 1
        _at("segment.published", lambda: other.forget(ids[1]), store.compact)
        assert {hit.id for hit in store.recall("key")} == {ids[2]}
        assert store.verify().ok
        assert store.compact().removed == 1
        assert store.verify().records == 1


def test_compaction_under_a_reader(tmp_path, encoder):
    """The files go between the reader's look at the catalogue and its look at the files."""
    with (
        MemoryStore(tmp_path / "s", encoder) as store,
        MemoryStore(tmp_path / "s", encoder) as reader,
    ):
        ids = store.remember_many([f"the key {i}" for i in range(10)])
        store.flush()
        assert len(reader.recall("key", 20)) == 10
        store.forget(ids[:3])
        snapshot = reader._sessions.current.snapshot()
        store.compact()
        # The old view still reads the old file, a new one the new file.
        place = snapshot.find(ids[5])
        assert place[0].rows.content(place[1]).text == "the key 5"
        assert {hit.id for hit in reader.recall("key", 20)} == set(ids[3:])


def _at(step: str, action, call) -> None:
    def hook(reached: str) -> None:
        if reached == step:
            steps.set_hook(None)
            action()

    steps.set_hook(hook)
    try:
        call()
    finally:
        steps.set_hook(None)
