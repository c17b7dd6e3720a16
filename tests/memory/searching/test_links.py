"""The association graph: what is linked, what fades, what is forgotten."""

from __future__ import annotations

import sqlite3
from datetime import datetime, timedelta, timezone

import numpy as np
import pytest

from arrowmind.errors import InvalidArgumentError
from arrowmind.memory import MemoryStore, RecallSettings
from arrowmind.memory.storage.links import add_links, delete_links, links_of, read_links

DAY = 86_400_000_000


@pytest.fixture
def db():
    connection = sqlite3.connect(":memory:")
    yield connection
    connection.close()


def test_links_go_both_ways_and_recalls_add_up(db):
    add_links(db, [(1, 2, "similar", 0.5), (1, 2, "recalled", 1.0), (3, 3, "similar", 1.0)], 0)
    add_links(db, [(2, 1, "similar", 0.25), (2, 1, "recalled", 1.0), (1, 4, "terms", 0.0)], 0)
    for one, other in ((1, 2), (2, 1)):
        found = [(link.id, link.kind, link.weight) for link in links_of(db, one, 0)]
        assert found == [(other, "recalled", 2.0), (other, "similar", 0.5)]
    assert links_of(db, 3, 0) == []


def test_recalls_fade_by_half_in_thirty_days(db):
    add_links(db, [(1, 2, "recalled", 1.0), (1, 3, "similar", 1.0)], 100 * DAY)
    found = {link.id: link.weight for link in links_of(db, 1, 130 * DAY)}
    assert found == {2: 0.5, 3: 1.0}
    add_links(db, [(1, 2, "recalled", 1.0)], 130 * DAY)
    assert links_of(db, 1, 130 * DAY)[0].weight == 1.5


def test_only_the_strongest_links_stay(db):
    add_links(db, [(1, other, "similar", other / 64) for other in range(2, 62)], 0)
    found = links_of(db, 1, 0)
    assert [link.id for link in found] == list(range(61, 37, -1))


def test_edges_of_many(db):
    add_links(db, [(i, i + 1, "similar", 0.5) for i in range(1, 1300)], 0)
    edges = read_links(db, list(range(1, 1400)), 0)
    assert len(edges.sources) == 2 * 1299
    assert np.all(np.abs(edges.sources - edges.targets) == 1)
    assert len(read_links(db, [], 0).sources) == 0


def test_a_damaged_row_is_harmless(db):
    add_links(db, [(1, 2, "similar", 0.5)], 0)
    db.execute("UPDATE link SET targets = substr(targets, 1, 12) WHERE id = 1")
    assert links_of(db, 1, 0) == []
    db.execute("UPDATE link SET targets = ? WHERE id = 1", (b"\xff" * 13,))
    assert len(read_links(db, [1], 0).sources) == 0


def test_deleting_without_a_table_does_nothing(db):
    delete_links(db, [1, 2])
    assert links_of(db, 1, 0) == []


def test_new_memories_are_linked_once(store):
    ids = store.remember_many(["the zebra crossed a river", "a zebra in the zoo", "tax forms", "river boats"])
    assert store.link() == 4
    assert store.link() == 0
    kinds = {(link.id, link.kind) for link in store.links(ids[0])}
    assert (ids[1], "terms") in kinds
    more = store.remember("my zebra")
    assert store.link() == 1
    assert ids[0] in {link.id for link in store.links(more)}
    assert more in {link.id for link in store.links(ids[0])}


def test_what_is_recalled_together_is_linked(store):
    one, other = store.remember_many(["a red kite", "a red boat"])
    assert {hit.id for hit in store.recall("red")} == {one, other}
    assert store.links(one) == []
    store.link()
    assert ("recalled", other) in {(link.kind, link.id) for link in store.links(one)}


def test_linking_goes_on_where_it_stopped(store):
    ids = store.remember_many([f"zebra number {i}" for i in range(6)])
    assert [store.link(4), store.link(4), store.link(4)] == [4, 2, 0]
    assert store.links(ids[5])


def test_forgotten_memories_are_linked_with_nothing(store):
    one, other = store.remember_many(["the zebra crossed", "a zebra in the zoo"])
    store.link()
    assert store.links(one)
    store.forget(other)
    assert store.links(one) == []
    assert store.links(other) == []


def test_namespaces_are_not_linked(tmp_path, encoder):
    with MemoryStore(tmp_path / "s", encoder) as store:
        one = store.remember("the zebra crossed", namespace="a")
        store.remember("a zebra in the zoo", namespace="b")
        store.link()
        assert store.links(one) == []


@pytest.mark.parametrize("limit", [0, -1, 1.5, True, "a"])
def test_a_bad_limit_is_refused(store, limit):
    with pytest.raises(InvalidArgumentError, match="limit"):
        store.link(limit)


def test_the_walk_finds_what_no_leg_does(tmp_path, encoder):
    """A memory that shares nothing with the query, but a rare word with one that does."""
    noise = [f"filler {i} about nothing {i * 7}" for i in range(300)]
    then = datetime(2024, 1, 1, tzinfo=timezone.utc)
    texts = ["the parrot belongs to Quillon", *noise, "Quillon moved to Ulm"]
    settings = RecallSettings(depth=3)
    with MemoryStore(tmp_path / "s", encoder, recall_settings=settings) as store:
        ids = store.remember_many(texts, timestamp=[then + timedelta(days=i) for i in range(len(texts))])
        before = store.evidence("parrot", 1)
        store.link()
        after = store.evidence("parrot", 1)
        assert ids[-1] not in before.ids
        assert ids[-1] in after.ids
        column = after.values[:, after.names.index("links")]
        assert column[after.ids.index(ids[-1])] > 0
