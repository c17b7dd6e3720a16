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
from arrowmind.memory.storage.lifecycle_tables import Quote

FLIPS = 150


def build(folder):
    with MemoryStore(folder, FakeEncoder(8), image_engine=FakeImages(8)) as store:
        ids = store.remember_many(["a blue key", "a red door", "a cat"], category="c", namespace="n")
        store.remember("a view", image=picture("sea"))
        store.flush()
        store.forget(ids[1])
        store.remember("it waits", metadata={"a": 1})
        store.lifecycle.apply(Change("k", "r", (Derived("a fact", (Quote(ids[0], "key"),)),), {ids[0]: 2}))


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


@pytest.mark.parametrize("part", ["catalogue.sqlite", "segments", "blobs"])
def test_flipped_bits(tmp_path, part):
    good = tmp_path / "good"
    build(good)
    assert not (good / "catalogue.sqlite-wal").exists()
    shutil.copytree(good, tmp_path / "first")
    expected = outcome(tmp_path / "first")
    assert expected != "noticed"
    assert len(expected[0]) == 5
    target = good / part
    path = target if target.is_file() else sorted(target.iterdir())[0]
    data, chance = path.read_bytes(), random.Random(5)
    noticed = 0
    for _ in range(FLIPS):
        bit = chance.randrange(8 * len(data))
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        copy = tmp_path / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(good, copy)
        (copy / path.relative_to(good)).write_bytes(flipped)
        found = outcome(copy)
        assert found in ("noticed", expected), f"bit {bit} of {part} changed what the store says, unnoticed"
        noticed += found == "noticed"
    print(f"{part}: {noticed} of {FLIPS} flipped bits noticed, the others harmless")
    assert noticed or part == "catalogue.sqlite"


def test_a_changed_row_is_noticed(tmp_path):
    build(tmp_path / "s")
    db = sqlite3.connect(tmp_path / "s" / "catalogue.sqlite")
    db.execute("UPDATE pending SET text = CAST('it waitz' AS BLOB) WHERE id = 5")
    db.commit()
    db.close()
    with MemoryStore(tmp_path / "s", FakeEncoder(8)) as store:
        assert any("do not give the digest" in problem for problem in store.verify().problems)


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
