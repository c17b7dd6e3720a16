"""The operations as other programs ask for them, and the list of the newest."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

import pytest
from tests.memory.fake_encoder import FakeEncoder, picture

from arrowmind.config import load_config
from arrowmind.errors import InvalidArgumentError, PermissionDeniedError
from arrowmind.faces import OPERATIONS, MemoryDesk, UnknownMemoryError
from arrowmind.faces.fields import check_fields, query_fields, schema_of
from arrowmind.faces.moments import parse_expiry
from arrowmind.memory import MemoryStore
from arrowmind.privacy import read_log


@pytest.fixture
def store(tmp_path):
    with MemoryStore(tmp_path / "store", FakeEncoder()) as opened:
        yield opened


def ids(records):
    return [record.id for record in records]


def test_the_newest_over_segments_and_what_waits(store):
    store.remember_many([f"old {i}" for i in range(10)])
    store.flush()
    store.remember_many([f"middle {i}" for i in range(10)])
    store.flush()
    store.remember_many([f"new {i}" for i in range(10)], category="new")
    assert ids(store.newest(12)) == list(range(30, 18, -1))
    assert ids(store.newest(5, before=12)) == [11, 10, 9, 8, 7]
    assert ids(store.newest(100, before=1)) == []
    store.forget([30, 12])
    assert ids(store.newest(100)) == [i for i in range(29, 0, -1) if i != 12]
    assert ids(store.newest(2, category="new")) == [29, 28]
    assert ids(store.newest(2, category="none")) == []
    store.compact()
    assert len(store.newest(100)) == 28
    assert store.newest(1)[0].access_count == 0


def test_long_texts_and_expired_ones(store):
    store.remember("word " * 2000)  # several windows
    store.remember("gone", expires=datetime(2020, 1, 1, tzinfo=timezone.utc))
    store.remember("with a picture", image=picture("x"))
    assert ids(store.newest(10)) == [3, 1]
    assert ids(store.newest(10, modality="image")) == [3]
    with pytest.raises(InvalidArgumentError):
        store.newest(0)


def test_the_rules_of_recall_hold_for_the_list(tmp_path):
    roles = {"privacy.roles": ("alice reader mine",)}
    config = load_config(overrides=roles)
    with MemoryStore(tmp_path / "store", FakeEncoder()) as store:
        store.remember("a", namespace="mine")
        store.remember("b", namespace="others")
    with MemoryStore(tmp_path / "store", FakeEncoder(), caller="alice", config=config) as store:
        assert ids(store.newest(10, namespace="mine")) == [1]
        for namespace in (None, "others"):
            with pytest.raises(PermissionDeniedError):
                store.newest(10, namespace=namespace)


def test_views_leave_out_what_is_not_there(store):
    desk = MemoryDesk(store)
    assert desk.call("remember", {"text": "a", "category": None}) == {"id": 1, "uri": "memory://1"}
    view = desk.call("get", {"id": 1})
    assert set(view) == {"id", "uri", "text", "time", "origin", "trust", "namespace", "modalities"}
    with pytest.raises(UnknownMemoryError, match="no memory 2"):
        desk.call("get", {"id": 2})
    with pytest.raises(UnknownMemoryError):
        desk.attachment(1, 0)
    with pytest.raises(UnknownMemoryError):
        desk.attachment(2**70, 0)


def test_read_only_writes_nothing(store):
    desk = MemoryDesk(store, read_only=True)
    assert not any(operation.writes for operation in desk.operations)
    for name, operation in OPERATIONS.items():
        if operation.writes:
            with pytest.raises(PermissionDeniedError):
                desk.call(name, {})


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_the_schema_says_what_the_check_does(name):
    fields = OPERATIONS[name].fields
    schema = schema_of(fields)
    assert set(schema["properties"]) == {field.name for field in fields}
    assert all(described["description"] for described in schema["properties"].values())
    wrong = {"string": 1, "integer": "x", "number": "x", "object": [], "array": 3}
    for field in fields:
        kind = schema["properties"][field.name]["type"]
        if isinstance(kind, str):
            fitting = {"ids": [1], "text": "a"}
            needed = {one.name: fitting.get(one.kind, 1) for one in fields if one.required}
            with pytest.raises(InvalidArgumentError, match=field.name):
                check_fields({**needed, field.name: wrong[kind]}, fields)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30m", timedelta(minutes=30)),
        ("12H", timedelta(hours=12)),
        ("2 w", timedelta(weeks=2)),
        ("2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)),
        (86400, 86400),
        (None, None),
    ],
)
def test_when_memories_expire(text, expected):
    assert parse_expiry(text, "expires") == expected


@pytest.mark.parametrize("text", ["soon", "-1d", "1y", "999999999w", "", [], True, "\u0661d"])
def test_what_is_no_expiry(text):
    with pytest.raises(InvalidArgumentError, match="expires"):
        parse_expiry(text, "expires")


def test_queries_of_addresses():
    query = {"count": "3", "text": "3", "before": "", "top_k": "x", "category": "c"}
    assert query_fields(query) == {"count": 3, "text": "3", "top_k": "x", "category": "c"}


THEN = datetime(2026, 3, 1, 10, tzinfo=timezone.utc)


def tell(store, **more):
    """Two conversations side by side."""
    for place, (session, text) in enumerate([("a", "a red kayak"), ("b", "an oven"), ("a", "a long lake")]):
        at = THEN + timedelta(minutes=place)
        store.remember(text, timestamp=at, metadata={"session": session}, **more)


def test_episodes(store):
    tell(store)
    desk = MemoryDesk(store, read_only=True)
    (found,) = desk.call("recall_episodes", {"text": "kayak", "hits": 1})["episodes"]
    assert set(found) == {"began", "ended", "score", "ids", "memories"}
    assert (found["ids"], [one["id"] for one in found["memories"]]) == ([1, 2, 3], [1])
    assert (found["began"], found["ended"]) == ("2026-03-01T10:00:00+00:00", "2026-03-01T10:02:00+00:00")
    asked = {"text": "kayak", "by": "metadata.session", "top_k": 1}
    (found,) = desk.call("recall_episodes", asked, explain=True)["episodes"]
    assert (found["value"], found["ids"]) == ("a", [1, 3])
    assert sum(found["explanation"].values()) == pytest.approx(found["score"], abs=1e-5)
    assert found["memories"][0]["explanation"]["parts"]
    assert desk.call("recall_episodes", {"text": "kayak", "modality": "image"}) == {"episodes": []}


@pytest.mark.parametrize(
    ("values", "part"),
    [
        ({}, "text is missing"),
        ({"text": "a", "top_k": 101}, "up to 100"),
        ({"text": "a", "hits": 101}, "up to 100"),
        ({"text": "a", "by": "session"}, "metadata.NAME"),
        ({"text": "a", "by": 3}, "by is 3"),
        ({"text": "a", "image": "aaaa"}, "'image' is unknown"),
    ],
)
def test_what_is_no_question_for_episodes(store, values, part):
    with pytest.raises(InvalidArgumentError, match=re.escape(part)):
        MemoryDesk(store).call("recall_episodes", values)


@pytest.mark.parametrize("by", [None, "metadata.session", "category", "origin", "namespace"])
def test_episodes_of_a_caller_hold_nothing_of_others(tmp_path, by):
    config = load_config(overrides={"privacy.roles": ("alice reader mine", "root admin *")})
    with MemoryStore(tmp_path / "store", FakeEncoder(), caller="root", config=config) as store:
        for namespace in ("others", "mine", "others"):
            tell(store, namespace=namespace, category="talk")
        store.link()
        alice = MemoryDesk(store).acting_as("alice")
        own = {"text": "kayak oven lake", "namespace": "mine", "hits": 100}
        found = alice.call("recall_episodes", {**own, **({"by": by} if by else {})}, explain=True)["episodes"]
        assert {id_ for one in found for id_ in one["ids"]} == {4, 5, 6}
        assert {memory["id"] for one in found for memory in one["memories"]} == {4, 5, 6}
        for namespace in (None, "others"):
            with pytest.raises(PermissionDeniedError):
                alice.call("recall_episodes", {**own, "namespace": namespace})
    entries = [entry for entry in read_log(tmp_path / "store" / "privacy" / "access") if "caller" in entry]
    asked = [one for one in entries if (one["action"], one["caller"]) == ("recall", "alice")]
    assert [one.get("allowed", True) for one in asked] == [True, False, False]
    assert sorted(asked[0]["ids"]) == [4, 5, 6]
    assert "kayak" not in str(entries)
