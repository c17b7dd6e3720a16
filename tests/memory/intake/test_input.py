"""Hostile and odd input: a clear error or a sensible answer."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.memory.fake_encoder import FakeEncoder

from arrowmind.errors import InvalidArgumentError
from arrowmind.memory import MemoryStore, RecallSettings, StoreSettings


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        (" \n\t\u3000", "empty"),
        (None, "NoneType; give a string"),
        (b"bytes", "bytes; give a string"),
        (7, "int; give a string"),
        ("x" * (16 * 2**20 + 1), "remember it in parts"),
    ],
)
def test_texts_that_cannot_be_remembered(store, text, message):
    with pytest.raises(InvalidArgumentError, match=message):
        store.remember(text)
    with pytest.raises(InvalidArgumentError, match=r"texts\[1\]"):
        store.remember_many(["fine", text])
    assert store.stats().records == 0


def test_collections_that_are_none(store):
    assert store.remember_many([]) == []
    assert store.remember_many([], embeddings=np.empty((0, 64), np.float32)) == []
    for texts in ("a string", None, 3):
        with pytest.raises(InvalidArgumentError, match="list of strings"):
            store.remember_many(texts)


def test_columns_of_numpy(store):
    days = np.array(["2024-02-29T12:00", "NaT"], "datetime64[s]")
    first, second = store.remember_many(
        ["one", "two"], timestamp=days, trust=np.array([0.25, 0.75]), category=np.array(["a", "b"])
    )
    assert store.get(first).timestamp == datetime(2024, 2, 29, 12, tzinfo=timezone.utc)
    assert datetime.now(timezone.utc) - store.get(second).timestamp < timedelta(minutes=1)
    assert [store.get(id_).category for id_ in (first, second)] == ["a", "b"]
    assert [store.get(id_).trust for id_ in (first, second)] == pytest.approx([0.25, 0.75], abs=0.01)
    third = store.remember_many(["three"], timestamp=np.array([1.5e9]))[0]
    assert store.get(third).timestamp.timestamp() == 1.5e9
    with pytest.raises(InvalidArgumentError, match="timestamp has 3 values for 2 texts"):
        store.remember_many(["one", "two"], timestamp=np.arange(3))


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("a\ud800b", "a\ufffdb"),
        ("\udc00", "\ufffd"),
        ("\ud83d\ude00 joined", "\U0001f600 joined"),
        ("nul \0 inside", "nul \0 inside"),
        ("\0", "\0"),
        ("\ufeffbom \u202e rtl \U0010ffff", "\ufeffbom \u202e rtl \U0010ffff"),
    ],
)
def test_odd_characters(store, text, kept):
    id_ = store.remember(text, category=f"c{text}", metadata={"t": "a\ud800b"})
    for _ in range(2):
        record = store.get(id_)
        assert record.text == kept
        assert record.category == f"c{kept}"
        assert record.metadata == {"t": "a\ud800b"}
        assert [hit.id for hit in store.recall(f"{text} inside", category=f"c{text}")] == [id_]
        assert store.recall(f"{text} inside", category=f"d{text}") == []
        store.flush()
    assert store.verify().ok


def test_a_megabyte(store):
    text = "lorem ipsum dolor " * 60_000
    id_ = store.remember(text + "finis")
    assert store.stats().vectors == -(-180_001 // 256)
    assert store.recall("finis")[0].id == id_
    store.flush()
    assert store.get(id_).text == text + "finis"
    assert store.recall(text)[0].id == id_
    one_word = store.remember("x" * 1_000_000)
    assert store.recall("x" * 1_000_000, 1)[0].id == one_word


@pytest.mark.parametrize("query", ["", "  ", "\n"])
def test_an_empty_query_finds_nothing(store, query):
    store.remember("something")
    assert store.recall(query) == []


@pytest.mark.parametrize("query", ["the", "of and to", "?!", "\U0001f600", "\0", "\ud800"])
def test_queries_that_say_little(store, query):
    store.remember_many(["the cat of the house", "a dog"])
    hits = store.recall(query, 5)
    assert len({hit.id for hit in hits}) == len(hits)


def test_a_category_that_is_no_text(store):
    store.remember("x")
    with pytest.raises(InvalidArgumentError, match="category=5"):
        store.recall("x", category=5)


@pytest.mark.parametrize("query", [None, b"bytes", 5, ["a"]])
def test_queries_that_are_no_text(store, query):
    with pytest.raises(InvalidArgumentError, match=r"give a (string|text)"):
        store.recall(query)


@pytest.mark.parametrize("top_k", [0, -1, 100_001, 2**70, 1.5, "3", True])
def test_bad_top_k(store, top_k):
    with pytest.raises(InvalidArgumentError, match="top_k="):
        store.recall("x", top_k)


def test_top_k_beyond_the_store(store):
    ids = store.remember_many(["the cat", "the dog", "the fox"])
    assert {hit.id for hit in store.recall("the cat", 1000)} == set(ids)
    assert len(store.recall("the cat", np.int64(2))) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"category": ""}, "category"),
        ({"category": 5}, "category"),
        ({"category": "x" * 300}, "category"),
        ({"metadata": [("a", 1)]}, "metadata has 1 values|metadata is"),
        ({"metadata": 5}, "metadata is int"),
        ({"metadata": {1: 2}}, "strings as keys"),
        ({"metadata": {"a": object()}}, "JSON"),
        ({"metadata": {"a": float("nan")}}, "JSON"),
        ({"metadata": {"a": "x" * 2_000_000}}, "metadata has 2000"),
        ({"timestamp": "today"}, "timestamp"),
        ({"timestamp": float("inf")}, "timestamp"),
        ({"timestamp": 1e300}, "timestamp"),
        ({"timestamp": True}, "timestamp"),
        ({"expires": "never"}, "expires"),
    ],
)
def test_bad_arguments(store, arguments, message):
    with pytest.raises(InvalidArgumentError, match=message):
        store.remember("text", **arguments)
    assert store.stats().records == 0


def test_recursive_metadata(store):
    deep: dict = {}
    inner = deep
    for _ in range(100_000):
        inner["a"] = {}
        inner = inner["a"]
    with pytest.raises(InvalidArgumentError, match="JSON"):
        store.remember("text", metadata=deep)


@pytest.mark.parametrize("ids", ["1", 1.5, None, [1, "2"], [None]])
def test_bad_ids(store, ids):
    with pytest.raises(InvalidArgumentError, match="ids="):
        store.forget(ids)
    with pytest.raises(InvalidArgumentError, match="ids="):
        store.get(ids)


def test_ids_that_cannot_be(store):
    for id_ in (0, -1, 2**63, 2**200):
        assert store.get(id_) is None
        assert store.forget([id_]) == 0


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        ([[1.0, float("nan")]], "row 0"),
        ([[1.0, float("inf")]], "row 0"),
        ([1.0, 2.0], "shape"),
        ("text", "no array"),
        ([[]], "shape"),
        (np.zeros((1, 2, 3)), "shape"),
    ],
)
def test_bad_vectors(tmp_path, vectors, message):
    with MemoryStore(tmp_path / "s") as store, pytest.raises(InvalidArgumentError, match=message):
        store.remember_many(["x"], vectors)


def test_vectors_of_zero_and_of_any_length(tmp_path):
    with MemoryStore(tmp_path / "s") as store:
        tiny, huge = np.float32(1e-44), np.float32(3e38)
        vectors = np.array([[0, 0, 0], [tiny, 0, 0], [0, huge, huge / 2]], np.float32)
        ids = store.remember_many(["zero", "tiny", "huge"], vectors)
        hits = store.recall("?", embedding=np.array([1, 0, 0], np.float32))
        assert hits[0].id == ids[1]
        assert hits[0].explain.vector.cosine == pytest.approx(1.0, abs=1e-3)
        assert store.recall("?", embedding=vectors[2])[0].id == ids[2]
        assert store.recall("zero", embedding=vectors[0])[0].id == ids[0]
        store.flush()
        assert store.verify().ok


def test_an_encoder_that_lies(tmp_path):
    class Liar(FakeEncoder):
        def encode(self, texts):
            return super().encode(texts)[:-1]

    with (
        MemoryStore(tmp_path / "s", Liar()) as store,
        pytest.raises(InvalidArgumentError, match="gave 1 vectors for 2"),
    ):
        store.remember_many(["a", "b"])


def test_moments(store):
    naive = datetime(2024, 5, 6, 7, 8, 9)
    id_ = store.remember("x", timestamp=naive)
    assert store.get(id_).timestamp == naive.astimezone()
    before = store.remember("x", timestamp=-1.5)
    assert store.get(before).timestamp.year == 1969
    epoch = store.remember("x", timestamp=0)
    assert store.get(epoch).timestamp.timestamp() == pytest.approx(0, abs=1e-5)
    soon = store.remember("x", expires=timedelta(hours=1))
    assert timedelta(minutes=59) < store.get(soon).expires - store.get(soon).timestamp <= timedelta(hours=1)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (RecallSettings, {"vector_weight": -1}),
        (RecallSettings, {"vector_weight": 0, "text_weight": 0}),
        (RecallSettings, {"fusion": "magic"}),
        (RecallSettings, {"depth": 0}),
        (StoreSettings, {"flush_rows": 0}),
        (StoreSettings, {"merge_count": 1}),
    ],
)
def test_bad_settings(kind, values):
    with pytest.raises(InvalidArgumentError, match="give"):
        kind(**values)


@settings(
    derandomize=True,
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=4), st.text(max_size=20))
def test_any_text_comes_back_as_it_was(store, texts, query):
    texts = [text for text in texts if text.strip()]
    ids = store.remember_many(texts)
    assert [store.get(id_).text for id_ in ids] == [
        text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for text in texts
    ]
    assert len(store.recall(query, 3)) <= 3
