"""Backups, exports and imports."""

from __future__ import annotations

import json
import shutil
import sqlite3
import threading

import numpy as np
import pytest
from tests.memory.fake_encoder import FakeEncoder, FakeImages, picture

from arrowmind.errors import InvalidArgumentError, MemoryStoreError
from arrowmind.memory import MemoryStore, StoreSettings, steps
from arrowmind.memory.keeping.lifecycle import Change, Derived
from arrowmind.memory.storage.lifecycle_tables import Quote

LENGTH = 40


@pytest.fixture
def full(tmp_path):
    """Of all kinds: in segments and waiting, forgotten, with images, derived, archived, in two namespaces."""
    with MemoryStore(
        tmp_path / "full", FakeEncoder(), image_engine=FakeImages(), settings=StoreSettings(flush_rows=16)
    ) as store:
        ids = store.remember_many(
            [f"note {i} of tea" for i in range(LENGTH)],
            image=[picture(f"view {i % 5}") if i % 4 == 0 else None for i in range(LENGTH)],
            namespace=["ann" if i % 2 else None for i in range(LENGTH)],
            category=["even" if i % 2 == 0 else None for i in range(LENGTH)],
            trust=[i / LENGTH for i in range(LENGTH)],
            metadata=[{"i": i} for i in range(LENGTH)],
        )
        store.remember("long " * 600, timestamp=1_700_000_000)
        store.remember(image=picture("alone"))
        store.forget(ids[3])
        derived = Derived("tea is drunk", (Quote(ids[1], "tea"), Quote(ids[5], "tea")), made_by="test")
        store.lifecycle.apply(Change("k", "r", (derived,), {ids[1]: 3, ids[5]: 2}))
        yield store


def content(store):
    """What is in a store, without ids and counters."""
    found = []
    for id_ in range(1, 400):
        record = store.get(id_)
        if record is not None:
            row = record.to_dict() | {"id": 0, "access_count": 0, "last_access": None}
            derivation = row.pop("derivation")
            row["quotes"] = (
                [store.get(q["source"]).text for q in derivation["quotes"]] if derivation else None
            )
            row["blobs"] = [store.attachment(a) for a in record.attachments]
            found.append(row)
    return sorted(found, key=lambda row: json.dumps(row["metadata"]) + row["text"])


def vectors(store):
    snapshot = store._sessions.current.snapshot()
    return {
        space.row.name: sorted(
            bytes(block.rows.codes[row])
            for block in space.blocks
            for row in range(len(block.rows))
            if block.is_live(row)
        )
        for space in snapshot.spaces
    }


def test_a_backup_is_the_same(full, tmp_path):
    assert full.backup(tmp_path / "copy") > 0
    with MemoryStore(tmp_path / "copy", FakeEncoder(), image_engine=FakeImages()) as copy:
        assert content(copy) == content(full)
        assert vectors(copy) == vectors(full)
        assert [hit.id for hit in copy.recall("note 7")] == [hit.id for hit in full.recall("note 7")]
        assert copy.verify().problems == []
        # Both go on by themselves.
        assert copy.remember("new") == full.remember("new")
    with pytest.raises(MemoryStoreError, match="is there already; choose a new folder"):
        full.backup(tmp_path / "copy")


def test_a_copy_has_digests_of_its_own(full, tmp_path):
    full.compact()  # notes those of the store
    full.backup(tmp_path / "copy")
    db = sqlite3.connect(tmp_path / "copy" / "catalogue.sqlite")
    db.execute("UPDATE namespace SET name = 'm' WHERE id = 0")
    db.commit()
    db.close()
    with MemoryStore(tmp_path / "copy", FakeEncoder()) as copy:
        problems = copy.verify().problems
        assert len(problems) == 1
        assert "rows of 'namespace'" in problems[0]


def test_a_backup_while_others_write(full, tmp_path):
    stop = threading.Event()

    def write():
        number = 0
        while not stop.is_set():
            number += 1
            ids = full.remember_many([f"w{number} {i}" for i in range(9)], image=picture(f"w{number}"))
            full.forget(ids[:5])
            if number % 5 == 0:
                full.compact()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(6):
            full.backup(tmp_path / f"copy{number}")
    finally:
        stop.set()
        writer.join()
    for number in range(6):
        with MemoryStore(tmp_path / f"copy{number}", FakeEncoder()) as copy:
            assert copy.verify().problems == []
            assert copy.stats().records >= LENGTH


def test_a_backup_that_dies_leaves_nothing_under_its_name(full, tmp_path):
    def die(step):
        if step == "backup.catalogue":
            raise KeyboardInterrupt

    steps.set_hook(die)
    try:
        with pytest.raises(KeyboardInterrupt):
            full.backup(tmp_path / "copy")
    finally:
        steps.set_hook(None)
    assert not (tmp_path / "copy").exists()
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".part")]


def test_there_and_back(full, tmp_path):
    exported = full.export(tmp_path / "out")
    assert exported.memories == full.stats().records
    assert exported.vectors == dict(full.stats().spaces)
    with MemoryStore(tmp_path / "new", FakeEncoder(), image_engine=FakeImages()) as new:
        assert new.import_from(tmp_path / "out") == exported.memories
        assert content(new) == content(full)
        assert vectors(new) == vectors(full)
        assert new.lifecycle.tiers()
        assert new.verify().problems == []
    # No encoder is needed for what is there.
    with MemoryStore(tmp_path / "plain") as plain:
        plain.import_from(tmp_path / "out")
        assert plain.stats().encoder == full.stats().encoder
        assert content(plain) == content(full)


def test_other_tools_read_it(full, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    full.export(tmp_path / "out")
    table = parquet.read_table(tmp_path / "out" / "memories.parquet")
    assert {"note 8 of tea", "tea is drunk"} <= set(table["text"].to_pylist())
    codes = parquet.read_table(tmp_path / "out" / "vectors-text.parquet")
    rows = np.stack(codes["codes"].to_numpy()) * codes["scale"].to_numpy()[:, None]
    lengths = np.linalg.norm(rows, axis=1)
    assert np.all((np.abs(lengths - 1) < 1e-6) | (lengths == 0))


def test_an_import_that_was_cut_off_goes_on(full, tmp_path, monkeypatch):
    full.export(tmp_path / "out")
    monkeypatch.setattr("arrowmind.memory.intake.receiving._CHUNK_ENCODED", 10)

    def stop(done, _total, _what):
        if done >= 20:
            raise KeyboardInterrupt

    with MemoryStore(tmp_path / "new", FakeEncoder()) as new:
        with pytest.raises(KeyboardInterrupt):
            new.import_from(tmp_path / "out", stop)
        assert 0 < new.stats().records < full.stats().records
        assert new.import_from(tmp_path / "out") == full.stats().records
        assert content(new) == content(full)


def test_another_encoder_makes_its_own_vectors(full, tmp_path):
    full.export(tmp_path / "out")
    with MemoryStore(tmp_path / "new", FakeEncoder(32, "other")) as new:
        new.import_from(tmp_path / "out")
        assert new.recall("note 8", 1)[0].text == "note 8 of tea"
        assert new.stats().encoder == "other-32"
    with (
        MemoryStore(tmp_path / "new") as blind,
        pytest.raises(InvalidArgumentError, match="open the store with that encoder"),
    ):
        blind.import_from(tmp_path / "out")


def test_a_confined_store_exports_its_own_alone(full, tmp_path):
    with MemoryStore(tmp_path / "full", FakeEncoder(), namespace="ann") as ann:
        exported = ann.export(tmp_path / "out")
        assert exported.memories == full.stats().namespaces["ann"]
        assert exported.vectors["text"] == exported.memories
        with pytest.raises(InvalidArgumentError, match="opened for 'ann' alone"):
            ann.backup(tmp_path / "copy")
    with MemoryStore(tmp_path / "full", FakeEncoder(), namespace="nobody") as nobody:
        assert nobody.export(tmp_path / "none").memories == 0


@pytest.mark.parametrize("harm", ["manifest", "version", "memories", "vectors", "blob", "name"])
def test_damaged_exports(full, tmp_path, harm):
    out = tmp_path / "out"
    full.export(out)
    manifest = json.loads((out / "manifest.json").read_text())
    if harm == "manifest":
        (out / "manifest.json").write_text("[]")
    elif harm == "version":
        (out / "manifest.json").write_text(json.dumps(manifest | {"version": 9}))
    elif harm == "name":
        manifest["spaces"].append({"name": "../../etc", "dimension": 3, "encoder": "x"})
        (out / "manifest.json").write_text(json.dumps(manifest))
    elif harm == "blob":
        shutil.rmtree(out / "blobs")
    else:
        path = out / ("memories.parquet" if harm == "memories" else "vectors-text.parquet")
        data = bytearray(path.read_bytes())
        data[len(data) // 3] ^= 4
        path.write_bytes(data)
    with MemoryStore(tmp_path / "new", FakeEncoder()) as new:
        with pytest.raises((InvalidArgumentError, MemoryStoreError)):
            new.import_from(out)
        assert new.verify().problems == []
