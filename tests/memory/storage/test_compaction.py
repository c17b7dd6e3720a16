"""What is forgotten goes: from answers at once, from the files when they are compacted."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from tests.memory.fake_encoder import FakeEncoder

from arrowmind.memory import MemoryStore, StoreSettings
from arrowmind.memory.storage.compaction import crowded_segments

SECRETS = ["zanzibar", "quokkasecret", "\u79d8\u5bc6\u306e\u8a00\u8449"]


def bytes_with(folder, words):
    """Which files hold any of the words, as text, as JSON escapes or in UTF-16."""
    found = []
    for path in sorted(folder.rglob("*")):
        data = path.read_bytes() if path.is_file() else b""
        for word in words:
            escaped = word.encode("ascii", "backslashreplace")
            if any(form in data for form in (word.encode(), escaped, word.encode("utf-16-le"))):
                found.append((path.name, word))
    return found


@pytest.mark.parametrize("flushed", [False, True], ids=["pending", "in a segment"])
@pytest.mark.parametrize("large", [False, True], ids=["short", "long"])
def test_compaction_leaves_no_byte(tmp_path, encoder, flushed, large):
    folder = tmp_path / "s"
    with MemoryStore(folder, encoder) as store:
        kept = store.remember_many([f"ordinary note {i}" for i in range(50)])
        filler = " padding" * (3000 if large else 1)
        texts = [f"my {word} is here{filler} {word}" for word in SECRETS]
        gone = store.remember_many(texts, metadata={"secret": SECRETS[2]}, category="private")
        kept += store.remember_many([f"later note {i}" for i in range(50)])
        if flushed:
            store.flush()
        store.recall("zanzibar quokkasecret")
        assert bytes_with(folder, SECRETS)
        assert store.forget(gone) == 3
        assert not {hit.id for hit in store.recall("zanzibar quokkasecret", 200)} & set(gone)
        report = store.compact()
        assert bytes_with(folder, SECRETS) == []
        assert report.removed == (3 if flushed else 0)
        assert store.verify().ok
        assert store.stats().forgotten == 0
        assert {hit.id for hit in store.recall("ordinary later note", 200)} == set(kept)
    assert bytes_with(folder, SECRETS) == []
    with MemoryStore(folder, FakeEncoder()) as store:
        assert store.stats().records == 100
        assert store.remember("fresh") > max([*kept, *gone])


def test_expired_memories_are_removed_too(tmp_path, encoder):
    with MemoryStore(tmp_path / "s", encoder) as store:
        store.remember("zanzibar pending", expires=timedelta(seconds=0.2))
        store.flush()
        store.remember("zanzibar waiting", expires=timedelta(seconds=0.2))
        store.remember("stays")
        time.sleep(0.25)
        assert store.compact().removed == 2
        assert bytes_with(tmp_path, ["zanzibar"]) == []
        assert store.stats().records == 1


def test_a_store_that_forgets_everything(store, tmp_path):
    ids = store.remember_many(["zanzibar one", "zanzibar two"])
    store.flush()
    store.forget(ids)
    assert store.recall("zanzibar") == []
    store.compact()
    stats = store.stats()
    assert (stats.records, stats.segments, stats.indexed) == (0, 0, 0)
    assert bytes_with(tmp_path, ["zanzibar"]) == []
    assert store.recall("zanzibar") == []
    new = store.remember("zanzibar three")
    assert store.recall("zanzibar")[0].id == new


def test_segments_are_rewritten_when_much_is_forgotten(tmp_path, encoder):
    with MemoryStore(tmp_path / "s", encoder) as store:
        ids = store.remember_many([f"zanzibar {i}" for i in range(100)])
        store.flush()
        store.forget(ids[:30])
        assert store.stats().forgotten == 30
        store.forget(ids[30])
        assert store.stats().forgotten == 0
        assert store.stats().records == 69
        assert bytes_with(tmp_path / "s" / "segments", ["zanzibar 17"]) == []
        assert store.verify().ok


def test_merging_is_by_size(tmp_path, encoder):
    settings = StoreSettings(flush_rows=10, merge_count=4)
    with MemoryStore(tmp_path / "s", encoder, settings=settings) as store:
        sizes = []
        for i in range(20):
            store.remember_many([f"note {i} {j}" for j in range(10)])
            sizes.append(store.stats().segments)
            assert crowded_segments(store._sessions.current.snapshot(), settings) == []
        assert max(sizes) <= 8
        assert store.stats().records == 200
        assert store.verify().ok


def test_batches_split_between_memories(tmp_path, encoder):
    settings = StoreSettings(flush_rows=10**6, batch_rows=8)
    with MemoryStore(tmp_path / "s", encoder, settings=settings) as store:
        ids = store.remember_many(["word " * 256 * 3, "short", "word " * 256 * 20, *["more"] * 20])
        store.flush()
        snapshot = store._sessions.current.snapshot()
        assert [len(block.rows) for block in snapshot.blocks] == [4, 20, 8, 8, 4, 0]
        assert all(store.get(id_) for id_ in ids)
        assert store.verify().ok


def test_orphans_of_others_are_left_for_a_while(tmp_path, encoder):
    folder = tmp_path / "s"
    with MemoryStore(folder, encoder) as store:
        store.remember("x")
        store.flush()
    orphan = folder / "segments" / "0123456789abcdef.arrow"
    orphan.write_bytes(b"half a segment")
    (folder / "index" / "terms1-0123456789abcdef").mkdir()
    MemoryStore(folder, encoder).close()
    assert orphan.exists()
    MemoryStore(folder, encoder, settings=StoreSettings(orphan_seconds=0.0)).close()
    assert not orphan.exists()
    assert len(list((folder / "index").iterdir())) == 1
    with MemoryStore(folder, encoder) as store:
        assert store.verify().ok
