"""What a user of the store sees."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import numpy as np
import pytest
from tests.memory.fake_encoder import FakeEncoder

from arrowmind.errors import InvalidArgumentError, MemoryStoreError
from arrowmind.memory import MemoryStore, StoreSettings

TEXTS = [
    "The key lies under the blue pot.",
    "Anna moved to Lisbon in March.",
    "The cat is called Miso and eats at seven.",
    "Rent is due on the first of the month.",
]


def test_remember_and_recall(store):
    ids = store.remember_many(TEXTS)
    hits = store.recall("where is the key?", top_k=2)
    assert hits[0].id == ids[0]
    assert hits[0].text == hits[0].record.text == TEXTS[0]
    assert len(hits) == 2
    assert hits[0].score >= hits[1].score
    assert 0 <= hits[1].score <= hits[0].score <= 1


def test_a_record_keeps_what_was_given(store):
    moment = datetime(2024, 2, 29, 12, 30, 15, 123456, tzinfo=timezone.utc)
    id_ = store.remember(
        TEXTS[0],
        category="home",
        metadata={"tags": ["key", "pot"], "n": 1.5, "o": {"x": None}},
        timestamp=moment,
    )
    record = store.get(id_)
    assert record.text == TEXTS[0]
    assert record.category == "home"
    assert record.metadata == {"tags": ["key", "pot"], "n": 1.5, "o": {"x": None}}
    assert record.timestamp == moment
    assert record.expires is None
    assert record.access_count == 0
    store.flush()
    assert store.get(id_) == record


def test_the_score_is_the_sum_of_its_parts(store):
    store.remember_many(TEXTS)
    for hit in store.recall("the cat called Miso"):
        assert hit.score == pytest.approx(sum(hit.explain.parts.values()))
    best = store.recall("the cat called Miso")[0]
    assert best.explain.vector.rank == 1
    assert best.explain.vector.window == 0
    assert -1 <= best.explain.vector.cosine <= 1
    assert best.explain.text.rank == 1
    assert best.explain.text.words == ("cat", "called", "miso")
    assert best.to_dict()["record"]["timestamp"].endswith("+00:00")


def test_answers_do_not_change_when_memories_move_to_a_segment(store):
    store.remember_many([f"{text} {i}" for i in range(30) for text in TEXTS])
    queries = ["the key 7", "Lisbon", "rent first month 12"]
    before = [[(hit.id, hit.text) for hit in store.recall(query, 5)] for query in queries]
    store.flush()
    assert store.stats().pending == 0
    assert [[(hit.id, hit.text) for hit in store.recall(query, 5)] for query in queries] == before


def test_many_small_flushes_and_merges_keep_everything(tmp_path, encoder):
    settings = StoreSettings(flush_rows=16, merge_count=3)
    with MemoryStore(tmp_path / "s", encoder, settings=settings) as store:
        ids = []
        for i in range(40):
            ids += store.remember_many([f"note {i} {j} about subject{i * 7 + j}" for j in range(7)])
        assert len(set(ids)) == 280
        stats = store.stats()
        assert stats.records == 280
        assert stats.segments < 10
        assert store.verify().ok
        assert store.recall("subject123", 1)[0].id == ids[17 * 7 + 4]
        assert [store.get(id_).text.split()[-1] for id_ in ids] == [f"subject{i}" for i in range(280)]


def test_a_long_text_is_found_by_any_of_its_windows(store):
    filler = [f"word{i}" for i in range(3000)]
    filler[2700] = "xylophone"
    id_ = store.remember(" ".join(filler))
    store.remember_many(TEXTS)
    for _ in range(2):
        hit = store.recall("xylophone", 1)[0]
        assert hit.id == id_
        assert hit.explain.vector.window == 2700 // 256
        assert store.stats().vectors == 12 + len(TEXTS)
        store.flush()


def test_filters(store):
    old = datetime(2020, 1, 1, tzinfo=timezone.utc)
    a = store.remember("the blue key", category="home", timestamp=old)
    b = store.remember("the blue key", category="work", timestamp=old + timedelta(days=10))
    c = store.remember("the blue key", category="home", timestamp=old + timedelta(days=20))
    for _ in range(2):
        found = {name: set() for name in ("home", "work", "none")}
        for name, ids in found.items():
            ids.update(hit.id for hit in store.recall("blue key", category=name))
        assert found == {"home": {a, c}, "work": {b}, "none": set()}
        since = old + timedelta(days=10)
        assert {hit.id for hit in store.recall("blue key", since=since)} == {b, c}
        assert {hit.id for hit in store.recall("blue key", until=since)} == {a}
        assert {hit.id for hit in store.recall("blue key", since=since, until=since.timestamp() + 1)} == {b}
        assert {hit.id for hit in store.recall("blue key", category="home", since=since)} == {c}
        store.flush()
    assert store.stats().categories == {"home": 2, "work": 1}


def test_expiry(store):
    gone = store.remember("the blue key", expires=timedelta(seconds=-1))
    kept = store.remember("the blue key", expires=timedelta(days=1))
    for _ in range(2):
        assert [hit.id for hit in store.recall("blue key")] == [kept]
        assert store.get(gone) is None
        assert store.get(kept).expires > datetime.now(timezone.utc)
        assert store.stats().records == 1
        store.flush()
    assert store.compact().removed == 1
    assert store.verify().records == 1


def test_forgetting(store):
    ids = store.remember_many(TEXTS * 3)
    assert store.forget(ids[0]) == 1
    assert store.forget(ids[0]) == 0
    store.flush()
    assert store.forget([*ids[1:3], 10**9, -4]) == 2
    assert [store.get(id_) for id_ in ids[:3]] == [None] * 3
    left = {hit.id for hit in store.recall("the key Anna Lisbon cat Miso", 100)}
    assert left == set(ids[3:])
    assert store.stats().records == 9


def test_access_counters(tmp_path, encoder):
    with MemoryStore(tmp_path / "s", encoder) as store:
        key, *others = store.remember_many(TEXTS)
        for _ in range(3):
            store.recall("the key", 1)
        record = store.get(key)
        assert record.access_count == 3
        assert record.last_access >= record.timestamp
        assert store.get(others[0]).access_count == 0
    with MemoryStore(tmp_path / "s", encoder) as store:
        assert store.get(key).access_count == 3
        store.recall("the key", 1)
        assert store.get(key).access_count == 4
        store.forget(key)
    with MemoryStore(tmp_path / "s", encoder) as store, store._catalogue.reading() as db:
        assert db.execute("SELECT count(*) FROM access").fetchone() == (0,)


def test_vectors_from_the_caller(tmp_path):
    rng = np.random.default_rng(3)
    vectors = rng.standard_normal((50, 48)).astype(np.float32)
    with MemoryStore(tmp_path / "s") as store:
        ids = store.remember_many([f"t{i}" for i in range(50)], vectors)
        assert [store.recall("?", 1, embedding=vector)[0].id for vector in vectors] == ids
        assert store.stats().encoder == "external"
        with pytest.raises(InvalidArgumentError, match="without an engine"):
            store.remember("x")
        with pytest.raises(InvalidArgumentError, match="dimension 48 in its space 'text', these have 47"):
            store.remember_many(["x"], vectors[:1, :47])
        with pytest.raises(InvalidArgumentError, match="2 rows for 1 texts"):
            store.remember_many(["x"], vectors[:2])


def test_recall_without_an_engine_goes_by_words_and_says_so(tmp_path, encoder, caplog):
    with MemoryStore(tmp_path / "s", encoder) as store:
        store.remember_many(TEXTS)
    with MemoryStore(tmp_path / "s") as store:
        hit = store.recall("Lisbon")[0]
        assert hit.text == TEXTS[1]
        assert hit.explain.vector is None
    assert "by words only" in caplog.text


def test_another_encoder_is_refused(tmp_path, encoder):
    with MemoryStore(tmp_path / "s", encoder) as store:
        store.remember(TEXTS[0])
    for other in (FakeEncoder(32), FakeEncoder(64, "other")):
        with pytest.raises(MemoryStoreError, match=r"was made with encoder fake-64.*in a new store"):
            MemoryStore(tmp_path / "s", other)


def test_the_first_vector_settles_the_encoder(tmp_path, encoder):
    with (
        MemoryStore(tmp_path / "s", encoder) as first,
        MemoryStore(tmp_path / "s", FakeEncoder(64, "b")) as second,
    ):
        first.remember(TEXTS[0])
        with pytest.raises(MemoryStoreError, match="was made with encoder fake-64"):
            second.remember(TEXTS[1])
        assert first.stats().records == 1


def test_an_empty_store(store):
    assert store.recall("anything") == []
    assert store.get(1) is None
    assert store.forget(1) == 0
    stats = store.stats()
    assert (stats.records, stats.dimension, stats.encoder) == (0, None, None)
    assert store.verify().ok
    assert store.compact().removed == 0


def test_progress_tells_what_is_on_disk(store):
    calls = []
    store.remember_many([f"text {i}" for i in range(600)], progress=lambda *args: calls.append(args))
    assert calls == [(256, 600, "memories"), (512, 600, "memories"), (600, 600, "memories")]


def test_values_per_text(store):
    ids = store.remember_many(
        TEXTS[:2], category=["a", None], metadata=[None, {"n": 1}], timestamp=[0, 86400.5], expires=None
    )
    first, second = map(store.get, ids)
    assert (first.category, second.category) == ("a", None)
    assert (first.metadata, second.metadata) == ({}, {"n": 1})
    assert second.timestamp == datetime(1970, 1, 2, 0, 0, 0, 500000, tzinfo=timezone.utc)
    with pytest.raises(InvalidArgumentError, match="category has 3 values for 2 texts"):
        store.remember_many(TEXTS[:2], category=["a", "b", "c"])
    assert store.stats().records == 2


def test_a_closed_store_says_so(tmp_path, encoder):
    store = MemoryStore(tmp_path / "s", encoder)
    store.close()
    store.close()
    with pytest.raises(MemoryStoreError, match="closed"):
        store.recall("x")


def test_opening_what_is_no_store(tmp_path, encoder):
    with pytest.raises(MemoryStoreError, match="holds no memory store"):
        MemoryStore(tmp_path / "missing", encoder, create=False)
    assert not (tmp_path / "missing").exists()
    (tmp_path / "holiday.jpg").write_text("x")
    with pytest.raises(MemoryStoreError, match="holds other files"):
        MemoryStore(tmp_path, encoder)
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.jpg"]
