"""What a store takes from the configuration, and what wins over it."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from arrowmind.config import load_config
from arrowmind.memory import MemoryStore, RecallSettings, StoreSettings


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("arrowmind.yaml").write_text("memory: {path: from-file, top_k: 2, flush_rows: 3}")


def test_the_path(encoder, monkeypatch):
    with MemoryStore(engine=encoder) as store:
        store.remember("the blue key")
    assert Path("from-file/catalogue.sqlite").is_file()
    monkeypatch.setenv("ARROWMIND_MEMORY_PATH", "from-environment")
    MemoryStore().close()
    assert Path("from-environment").is_dir()
    MemoryStore("argument").close()
    assert Path("argument").is_dir()
    MemoryStore(config=load_config(overrides={"memory.path": "given"})).close()
    assert Path("given").is_dir()


def test_top_k(encoder, monkeypatch):
    with MemoryStore("s", encoder) as store:
        store.remember_many([f"the key {i}" for i in range(9)])
        assert len(store.recall("key")) == 2
        assert len(store.recall("key", 5)) == 5
    monkeypatch.setenv("ARROWMIND_MEMORY_TOP_K", "4")
    with MemoryStore("s", encoder) as store:
        assert len(store.recall("key")) == 4


@pytest.mark.parametrize(("settings", "segments"), [(None, 1), (StoreSettings(), 0)])
def test_when_memories_become_a_segment(encoder, settings, segments):
    with MemoryStore("s", encoder, settings=settings) as store:
        store.remember_many(["a", "b", "c"])
        assert len(list(Path("s/segments").iterdir())) == segments


def test_weights(encoder, monkeypatch):
    monkeypatch.setenv("ARROWMIND_MEMORY_VECTOR_WEIGHT", "0")
    with MemoryStore("s", encoder) as store:
        store.remember("the blue key")
        assert store.recall("key")[0].explain.parts["meaning"] == 0
    with MemoryStore("s", encoder, recall_settings=RecallSettings()) as store:
        assert store.recall("key")[0].explain.parts["meaning"] > 0


def test_words_only_is_no_fallback_where_it_was_asked_for(encoder, caplog):
    with MemoryStore("s", encoder) as store:
        store.remember("the blue key")
    caplog.set_level(logging.WARNING)
    with MemoryStore("s", recall_settings=RecallSettings(vector_weight=0)) as store:
        assert store.recall("key")[0].score == pytest.approx(1.0)
    assert caplog.text == ""
    with MemoryStore("s") as store:
        assert store.recall("key")
        assert store.recall("key")
    assert caplog.text.count("by words only") == 1
