"""Every single flipped bit of a small store is noticed, or does no harm."""

from __future__ import annotations

import random
import shutil
import sqlite3

import pytest
from tests.memory.fake_encoder import FakeEncoder, FakeImages, picture

from arrowmind.errors import OptimizationError
from arrowmind.memory import MemoryStore
from arrowmind.memory.keeping.lifecycle import Change, Derived
from arrowmind.memory.storage import sealing
from arrowmind.memory.storage.lifecycle_tables import Quote

FLIPS = 120


def build(folder):
    with MemoryStore(folder, FakeEncoder(8), image_engine=FakeImages(8)) as store:
        ids = store.remember_many(["a blue key", "a red door", "a cat"], category="c", namespace="n")
        store.remember("a view", image=picture("sea"))
        store.flush()
        store.forget(ids[1])
        store.remember("it waits", metadata={"a": 1})
        store.lifecycle.apply(Change("k", "r", (Derived("a fact", (Quote(ids[0], "key"),)),), {ids[0]: 2}))
        store.settle()
        store.align()


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("built") / "s"
    build(folder)
    return folder


def content(store):
    """All that a reader may see of the store."""
    found = []
    for id_ in range(1, 9):
        record = store.get(id_)
        if record is not None:
            row = record.to_dict() | {"access_count": 0, "last_access": None}
            found.append((row, [store.attachment(a) for a in record.attachments]))
    return found, [hit.id for hit in store.recall("a blue key")]


def outcome(folder):
    """`noticed` by an error or by verify, or what the store says."""
    try:
        with MemoryStore(folder, FakeEncoder(8), image_engine=FakeImages(8), create=False) as store:
            if store.verify().problems:
                return "noticed"
            return content(store)
    except OptimizationError:
        return "noticed"


def parts_of(folder):
    """Files of each part of a store."""
    index = sorted(folder.glob("index/*/*"))
    return {
        "catalogue": [folder / "catalogue.sqlite"],
        "segments": sorted(folder.glob("segments/*")),
        "blobs": sorted(folder.glob("blobs/*")),
        "joint": sorted(folder.glob("joint/*")),
        "index": [path for path in index if path.name != "meta.json" and path.stat().st_size],
        "index's meta.json": [path for path in index if path.name == "meta.json"],
    }


@pytest.mark.parametrize("part", ["catalogue", "segments", "blobs", "joint", "index", "index's meta.json"])
def test_flipped_bits(tmp_path, part):
    good = tmp_path / "good"
    build(good)
    assert not (good / "catalogue.sqlite-wal").exists()
    shutil.copytree(good, tmp_path / "first")
    expected = outcome(tmp_path / "first")
    assert expected != "noticed"
    assert len(expected[0]) == 5
    paths, chance = parts_of(good)[part], random.Random(5)
    assert len(paths) == {"segments": 3, "index": 7}.get(part, 1)
    noticed = 0
    for number in range(FLIPS):
        path = paths[number % len(paths)]
        data = path.read_bytes()
        bit = chance.randrange(8 * len(data))
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        copy = tmp_path / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(good, copy)
        (copy / path.relative_to(good)).write_bytes(flipped)
        found = outcome(copy)
        assert found in ("noticed", expected), f"bit {bit} of {path.name} changed what is said, unnoticed"
        noticed += found == "noticed"
    print(f"{part}: {noticed} of {FLIPS} flipped bits noticed, the others harmless")
    assert noticed or part == "catalogue"


@pytest.mark.parametrize("ending", [".term", ".idx", ".fast", ".fieldnorm", "meta.json"])
def test_a_damaged_index_is_built_again(tmp_path, ending):
    build(tmp_path / "s")
    (path,) = (tmp_path / "s").glob(f"index/*/*{ending}")
    data = bytearray(path.read_bytes())
    place = data.index(b'"max_doc": ') + 11 if ending == "meta.json" else len(data) // 3
    data[place] ^= 1
    path.write_bytes(data)
    with MemoryStore(tmp_path / "s", FakeEncoder(8)) as store:
        assert any("the text index is damaged" in problem for problem in store.verify().problems)
        store._keeper.repair_index()
        assert store.verify().ok
        assert store.recall("blue key", 1)[0].explain.text is not None


def changed(folder, statement):
    db = sqlite3.connect(folder / "catalogue.sqlite")
    assert db.execute(statement).rowcount == 1
    db.commit()
    db.close()


CHANGES = {
    "category": "UPDATE category SET name = 'd'",
    "attachment": "UPDATE attachment SET media_type = 'image/pnh'",
    "change": "UPDATE change SET made = made + 1",
    "counter": "UPDATE counter SET value = value + 8 WHERE name = 'next_id'",
    "derivation": "UPDATE derivation SET valid_from = valid_from + 1",
    "namespace": "UPDATE namespace SET name = 'm' WHERE name = 'n'",
    "pending": "UPDATE pending SET text = CAST('it waitz' AS BLOB) WHERE id = 5",
    "quote": "UPDATE quote SET text = 'kez'",
    "segment": "UPDATE segment SET indexed = 1 - indexed WHERE space = 1",
    "setting": "UPDATE setting SET value = value + 1 WHERE name = 'created'",
    "space": "UPDATE space SET name = 'imagf'",
    "tier": "UPDATE tier SET tier = 3",
    "tier_move": "UPDATE tier_move SET previous = 1",
}


@pytest.mark.parametrize("table", CHANGES)
def test_a_changed_row_is_noticed_in_every_table(tmp_path, built, table):
    shutil.copytree(built, tmp_path / "s")
    changed(tmp_path / "s", CHANGES[table])
    with MemoryStore(tmp_path / "s", FakeEncoder(8)) as store:
        assert any(f"rows of '{table}' do not give the digest" in p for p in store.verify().problems)


def test_large_tables_are_sealed_by_compact(tmp_path, monkeypatch):
    monkeypatch.setattr(sealing, "_MOST_ROWS", 8)
    build(tmp_path / "s")
    changed(tmp_path / "s", CHANGES["pending"])  # its rows are among the last
    with MemoryStore(tmp_path / "s", FakeEncoder(8)) as store:
        assert not any("'pending'" in problem for problem in store.verify().problems)
        store.compact()
        assert store.verify().ok
    changed(tmp_path / "s", "UPDATE quote SET text = 'kez'")
    with MemoryStore(tmp_path / "s", FakeEncoder(8)) as store:
        assert any("'quote'" in problem for problem in store.verify().problems)


def test_a_store_in_use_is_not_taken_for_damaged(tmp_path):
    build(tmp_path / "s")
    with (
        MemoryStore(tmp_path / "s", FakeEncoder(8)) as one,
        MemoryStore(tmp_path / "s", FakeEncoder(8)) as other,
    ):
        one.remember("x")
        assert other.verify().ok
        assert one.verify().ok
    with MemoryStore(tmp_path / "s", FakeEncoder(8)) as store:
        store.recall("x")
        assert store.verify().ok
