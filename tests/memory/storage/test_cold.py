"""Cold memories: in compressed files, searched all the same, and back as they were."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from tests.memory.fake_encoder import FakeEncoder
from tests.memory.storage.cold_stores import COUNT, cool, files, states, texts_of, vectors

from arrowmind.errors import MemoryStoreError
from arrowmind.memory import MemoryStore, Settlement, StoreSettings, steps
from arrowmind.memory.keeping.lifecycle import Change, Derived
from arrowmind.memory.storage.lifecycle_tables import COLD, WARM, Quote
from arrowmind.privacy import find_bytes


def test_memories_move_to_a_cold_file_and_are_as_before(filled):
    store, ids = filled
    before, size = states(store, ids), sum(path.stat().st_size for path in files(store, "*"))
    moved = cool(store, ids[:200])
    assert (moved.frozen, moved.thawed) == (200, 0)
    assert len(files(store, "*.cold.arrow")) == 1
    assert sum(path.stat().st_size for path in files(store, "*")) < size * 0.6
    assert states(store, ids) == before
    assert store.get(ids[0]).tier == "cold"
    assert store.verify().problems == []
    assert store.stats().records == COUNT
    assert store.settle().frozen == 0
    assert [record.id for record in store.newest(COUNT)] == ids[::-1]


def test_cold_memories_are_found(filled):
    store, ids = filled
    cool(store, ids)
    for place in (0, 5, 150, 299):
        hits = store.recall(texts_of()[place], 5)
        assert hits[0].id == ids[place]
        assert hits[0].explain.vector.cosine == pytest.approx(1.0, abs=0.02)
    assert {hit.record.category for hit in store.recall("topic7", 5, category="a")} == {"a"}
    assert {hit.record.namespace for hit in store.recall("topic8", 5, namespace="other")} == {"other"}
    with MemoryStore(store._paths.root) as by_words:
        assert by_words.recall("memory 150 topic12", 1)[0].id == ids[150]


def test_many_rows_are_chosen_by_codes(filled):
    from arrowmind.memory import RecallSettings

    store, ids = filled
    cool(store, ids[::2])
    settings = RecallSettings(full_scan_rows=10)
    with MemoryStore(store._paths.root, FakeEncoder(128), recall_settings=settings) as other:
        assert [other.recall(texts_of()[place], 1)[0].id for place in (0, 5, 151)] == [
            ids[0],
            ids[5],
            ids[151],
        ]


def test_a_damaged_segment_does_not_become_cold(filled):
    store, ids = filled
    store.lifecycle.apply(Change("cool", tiers=dict.fromkeys(ids, COLD)))
    (path,) = files(store, "*.arrow")
    codes = np.concatenate([block.rows.codes for block in store._sessions.current.snapshot().blocks])
    whole = path.read_bytes()
    place = whole.index(codes[5].tobytes())
    path.unlink()
    path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    with MemoryStore(store._paths.root) as other, pytest.raises(MemoryStoreError, match="restore the store"):
        other.settle()
    assert files(store, "*.arrow") == [path]


def test_cold_files_of_version_2(tmp_path):
    with zipfile.ZipFile(Path(__file__).parents[1] / "data" / "store-cold-v2.zip") as archive:
        archive.extractall(tmp_path / "s")
    with MemoryStore(tmp_path / "s", FakeEncoder(64)) as store:
        assert store.verify().problems == []
        assert [store.get(id_).metadata["n"] for id_ in range(1, 7)] == list(range(6))
        assert {store.get(id_).tier for id_ in range(1, 5)} == {"cold"}
        assert store.recall("cold thing number 2 of topic2", 1)[0].id == 3
        assert cool(store, [5, 6], "more").frozen == 2
        assert len(files(store, "*.cold.arrow")) == 1
        store.lifecycle.undo(["more", "cool"])
        assert store.settle() == Settlement(0, 6, 0)
        assert store.verify().problems == []


def test_forgotten_no_byte_is_left_in_cold_files(filled):
    store, ids = filled
    cool(store, ids)
    text = texts_of()[17]
    assert [place.file for place in find_bytes(store._paths.segments, [text.encode()]).places] != []
    receipt = store.erase(ids[17])
    assert receipt.ids == (ids[17],)
    assert not find_bytes(store._paths.root / "segments", [text.encode()]).places
    assert store.get(ids[17]) is None
    assert store.get(ids[18]) is not None
    assert store.verify().problems == []
    store.forget(ids[:200])
    assert store.stats().records == 100
    assert len(store.recall("topic3", 50)) > 0
    store.forget(ids)
    store.compact()
    assert files(store, "*") == []


def test_forgotten_while_they_are_moved(filled):
    store, ids = filled
    store.lifecycle.apply(Change("cool", tiers=dict.fromkeys(ids[:200], COLD)))

    def forget(step):
        if step == "cold.published":
            steps.set_hook(None)
            with MemoryStore(store._paths.root) as other:
                other.forget([ids[3], ids[250]])

    steps.set_hook(forget)
    try:
        store.settle()
    finally:
        steps.set_hook(None)
    assert store.get(ids[3]) is None
    assert store.get(ids[250]) is None
    assert store.stats().records == COUNT - 2
    assert store.verify().problems == []
    store.compact()
    assert store.stats().forgotten == 0
    assert not find_bytes(store._paths.segments, [texts_of()[3].encode()]).places


def test_copies_hold_cold_memories(filled, tmp_path):
    store, ids = filled
    codes = vectors(store)
    cool(store, ids[:200])
    store.backup(tmp_path / "copy")
    with MemoryStore(tmp_path / "copy", FakeEncoder(128)) as copy:
        assert states(copy, ids) == states(store, ids)
        assert copy.verify().problems == []
    exported = store.export(tmp_path / "export")
    assert exported.vectors == {"text": len(codes)}
    with MemoryStore(tmp_path / "new") as new:
        assert new.import_from(tmp_path / "export") == COUNT
        new.flush()
        assert sorted(vectors(new).values()) == sorted(codes.values())
        assert new.get(1).tier == "cold"


def test_cold_files_are_put_together(tmp_path):
    settings = StoreSettings(flush_rows=20, batch_rows=64, merge_count=3, orphan_seconds=0.0)
    with MemoryStore(tmp_path / "s", FakeEncoder(64), settings=settings) as store:
        ids = []
        for number in range(6):
            ids += store.remember_many([f"round {number} {i}" for i in range(25)])
            cool(store, ids[-10:], f"cool {number}")
        assert 1 <= len(files(store, "*.cold.arrow")) <= 2
        assert store.verify().problems == []
        assert {store.get(id_).tier for id_ in ids} == {"hot", "cold"}
        cool(store, ids, "warm", WARM)
        assert files(store, "*.cold.arrow") == []


def test_recalled_they_are_named(filled):
    store, ids = filled
    store.recall(texts_of()[4], 1)
    cool(store, ids[:200])
    store.recall(texts_of()[7], 1)
    store._sessions.current.accesses.write(1.0)
    assert store.lifecycle.recalled_cold() == [ids[7]]


def test_every_flipped_bit_is_told_or_harmless(filled, rng):
    store, ids = filled
    cool(store, ids)
    (path,) = files(store, "*.cold.arrow")
    whole, before = path.read_bytes(), states(store, ids)
    for place in rng.integers(0, 8 * len(whole), 60).tolist():
        flipped = bytearray(whole)
        flipped[place // 8] ^= 1 << place % 8
        path.unlink()
        path.write_bytes(flipped)
        with MemoryStore(store._paths.root) as other:
            problems = other.verify().problems
            assert problems, f"bit {place}"
            assert all("cold" in problem for problem in problems)
    path.write_bytes(whole)
    with MemoryStore(store._paths.root) as other:
        assert states(other, ids) == before


def test_an_extract_gives_way_to_what_it_quotes(tmp_path):
    with MemoryStore(tmp_path / "s", FakeEncoder(64)) as store:
        said = store.remember("the blue key lies under the pot")
        fact = Derived("the blue key lies under the pot", (Quote(said, "blue key"),), made_by="extractive")
        (derived,) = store.lifecycle.apply(Change("c", derived=(fact,)))
        assert [hit.id for hit in store.recall("blue key", 5)] == [said]
        told = Derived("somebody hid a blue key", (Quote(said, "blue key"),), made_by="model")
        (more,) = store.lifecycle.apply(Change("m", derived=(told,)))
        assert {hit.id for hit in store.recall("blue key", 5)} == {said, more}
        store.lifecycle.apply(Change("away", tiers={said: 3}))
        assert {hit.id for hit in store.recall("blue key", 5)} == {derived, more}
