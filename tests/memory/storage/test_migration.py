"""Stores of earlier versions open, keep everything, and are of the present version afterwards."""

from __future__ import annotations

import sqlite3
import zipfile
from pathlib import Path

import pytest
from tests.memory.fake_encoder import FakeEncoder

from arrowmind.memory import MemoryStore, steps
from arrowmind.memory.storage import schema

FIRST = Path(__file__).parents[1] / "data" / "store-v1.zip"
"""Five notes in a segment (one more forgotten), one that waits, made by version 1."""


@pytest.fixture
def folder(tmp_path):
    with zipfile.ZipFile(FIRST) as archive:
        archive.extractall(tmp_path / "s")
    return tmp_path / "s"


def version_of(folder):
    db = sqlite3.connect(folder / "catalogue.sqlite")
    version = db.execute("PRAGMA user_version").fetchone()[0]
    db.close()
    return version


def check(store):
    assert store.get(2) is None
    assert store.get(8) is None
    record = store.get(3)
    assert (record.text, record.category, record.metadata) == ("note 2 about apples", "fruit", {"n": 1})
    assert (record.namespace, record.origin, record.trust) == ("default", "user", 1.0)
    assert (record.modalities, record.attachments) == (("text",), ())
    assert store.recall("the tram")[0].id == 7
    assert {hit.id for hit in store.recall("apples", category="fruit")} == {1, 3, 4, 5, 6}
    assert store.verify().problems == []


def test_a_store_of_version_1(folder):
    assert version_of(folder) == 1
    with MemoryStore(folder, FakeEncoder(16)) as store:
        assert version_of(folder) == schema.SCHEMA_VERSION
        check(store)
        new = store.remember("a pear", namespace="garden")
        store.flush()
        check(store)
        # Segments of both versions become one of the present.
        assert store.compact().removed == 1
        check(store)
        assert store.get(new).namespace == "garden"
        assert store.recall("pear", namespace="default", modality="text")[0].id != new
    with MemoryStore(folder, FakeEncoder(16)) as store:
        check(store)


def test_a_death_during_the_change_leaves_the_old_version(folder):
    def die(step):
        if step == "schema.before_commit":
            raise KeyboardInterrupt

    steps.set_hook(die)
    try:
        with pytest.raises(KeyboardInterrupt):
            MemoryStore(folder, FakeEncoder(16))
    finally:
        steps.set_hook(None)
    assert version_of(folder) == 1
    with MemoryStore(folder, FakeEncoder(16)) as store:
        check(store)


def test_damage_to_old_segments_is_noticed(folder):
    path = next((folder / "segments").iterdir())
    data = bytearray(path.read_bytes())
    data[data.index(b"note 2") + 5] ^= 1
    path.write_bytes(data)
    with MemoryStore(folder, FakeEncoder(16)) as store:
        assert any("memory 3 is damaged" in problem for problem in store.verify().problems)
