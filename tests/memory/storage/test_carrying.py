"""Vectors of what becomes cold while a process looks on: carried over, not encoded again."""

from __future__ import annotations

import numpy as np
import pytest
from tests.memory.fake_encoder import FakeEncoder

from arrowmind.memory import MemoryStore
from arrowmind.memory.keeping.lifecycle import Change
from arrowmind.memory.storage import carrying, reviving
from arrowmind.memory.storage.carrying import carried
from arrowmind.memory.storage.lifecycle_tables import COLD

LONG = " ".join(f"page{n}" for n in range(700))  # three windows
TEXTS = [f"memory {i} tells of topic{i % 7}" + (LONG if i % 11 == 3 else "") for i in range(60)]


@pytest.fixture
def both(tmp_path):
    """A store that moves memories, and another view of it that looks on."""
    with MemoryStore(tmp_path / "store", FakeEncoder(128)) as moving:
        moving.remember_many(TEXTS)
        moving.flush()
        with MemoryStore(tmp_path / "store", FakeEncoder(128)) as looking:
            yield moving, looking


def cool(store, ids, key):
    store.lifecycle.apply(Change(key, tiers=dict.fromkeys(ids, COLD)))
    assert store.settle().frozen == len(ids)


def blocks(store):
    return [block.rows for block in store._sessions.current.snapshot().home.blocks if len(block.rows)]


def encodings(store, queries):
    before = store._encoders.text.calls
    for query in queries:
        assert store.recall(query, 3)
    return store._encoders.text.calls - before


def test_who_looked_on_encodes_the_query_alone(both, tmp_path):
    moving, looking = both
    ids = [record.id for record in looking.newest(60)]
    cool(moving, ids[:40], "first")
    assert encodings(looking, TEXTS[:20]) == 20
    # Two cold files become one.
    cool(moving, ids[40:], "second")
    assert len(list(moving.paths.segments.glob("*.cold.arrow"))) == 1
    assert encodings(looking, TEXTS) == 60
    with MemoryStore(tmp_path / "store", FakeEncoder(128)) as late:
        assert encodings(late, TEXTS[:5]) > 5


def test_what_is_carried_is_what_was_stored(both):
    moving, looking = both
    ids = sorted(record.id for record in looking.newest(60))
    (hot,) = blocks(looking)
    cool(moving, ids[::2], "half")
    rest, cold = sorted(blocks(looking), key=lambda rows: rows.is_cold)
    found = carried([hot], [rest, cold])
    assert list(found) == ids[::2]
    for id_, (codes, scales) in found.items():
        rows = np.flatnonzero(hot.ids == id_)
        assert np.array_equal(codes, hot.codes[rows])
        assert np.array_equal(scales, hot.scales[rows])
    assert {len(codes) for codes, _ in found.values()} == {1, 3}


def test_nothing_is_carried_of_what_stays_or_is_in_the_file(tmp_path, rng):
    with MemoryStore(tmp_path / "store", FakeEncoder(128)) as store:
        own, given = store.remember_many(["of the encoder", "x"]), rng.standard_normal((2, 128))
        given = store.remember_many(["given, one", "given, two"], given.astype(np.float32))
        store.flush()
        before = blocks(store)
        assert carried(before, before) == {}
        cool(store, [own[0], *given], "some")
        assert list(carried(before, blocks(store))) == own[:1]


def test_the_newest_are_carried_where_there_are_too_many(both, monkeypatch):
    moving, looking = both
    for module in (carrying, reviving):
        monkeypatch.setattr(module, "MOST_KEPT", 5)
    ids = sorted(record.id for record in looking.newest(60))
    cool(moving, ids, "all")
    looking.newest(1)
    assert sorted(looking._sessions.current.reviver._kept) == ids[-5:]
    # The others are encoded, and the first in turn are not kept any more.
    assert encodings(looking, TEXTS[:5]) > 5
    assert len(looking._sessions.current.reviver._kept) == 5
