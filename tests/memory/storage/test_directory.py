"""Looking memories up in all segments at once finds what each block by itself would."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.memory.fake_encoder import FakeEncoder

from arrowmind.memory import MemoryStore, StoreSettings
from arrowmind.memory.keeping.lifecycle import Change
from arrowmind.memory.storage.blocks import Filter
from arrowmind.memory.storage.lifecycle_tables import ARCHIVED
from arrowmind.memory.times import now_microseconds

COUNT = 100


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory):
    """Long and short texts in several segments and in the catalogue, some forgotten, some archived."""
    settings_ = StoreSettings(flush_rows=25, merge_count=50, dead_share=0.9)
    folder = tmp_path_factory.mktemp("directory") / "s"
    with MemoryStore(folder, FakeEncoder(16), settings=settings_) as store:
        for start in range(0, COUNT, 10):
            texts = [f"m{i} " * (300 if i % 7 == 0 else 1) for i in range(start, start + 10)]
            spaces = ["odd" if i % 2 else None for i in range(10)]
            store.remember_many(
                texts, namespace=spaces, timestamp=[1_700_000_000 + start + i for i in range(10)]
            )
        store.forget([3, 14, 15, 77, 88])
        store.lifecycle.apply(Change("k", "r", tiers={5: ARCHIVED, 86: ARCHIVED}))
        taken = store._sessions.current.snapshot()
        assert len(taken.blocks) > 2
        assert len(taken.pending.rows)
        yield taken


IDS = st.lists(st.integers(-3, COUNT + 9), max_size=40, unique=True).map(sorted)


def alone(snapshot, id_):
    """(block, row) of a memory, forgotten or not, block by block."""
    for block in snapshot.blocks:
        row = block.rows.find(id_)
        if row is not None:
            return block, row
    return None


@settings(deadline=None, derandomize=True, max_examples=200)
@given(IDS)
def test_groups(snapshot, ids):
    home, found = snapshot.home, {}
    for block, rows in home.grouped(np.array(ids, np.int64)):
        found |= {int(block.rows.ids[row]): (id(block), row) for row in rows.tolist()}
    expected = {i: (id(place[0]), place[1]) for i in ids if (place := alone(snapshot, i))}
    assert found == expected


@settings(deadline=None, derandomize=True, max_examples=200)
@given(IDS, st.booleans())
def test_living_and_moments(snapshot, ids, archived):
    array, wanted = np.array(ids, np.int64), Filter(now_microseconds(), archived=archived)
    expected = set()
    for id_ in ids:
        place = alone(snapshot, id_)
        if place and place[0].is_live(place[1]):
            hidden = place[0].archived is not None and place[0].archived[place[1]]
            if archived or not hidden:
                expected.add(id_)
    assert set(array[snapshot.home.living(array, archived=archived)].tolist()) == expected
    assert snapshot.admitted(ids, wanted) == expected
    odd = next(number for number, name in snapshot.namespaces.items() if name == "odd")
    moments, namespaces = snapshot.home.moments(array)
    told = dict(zip(ids, zip(moments.tolist(), namespaces.tolist(), strict=True), strict=True))
    for id_ in ids:
        place = alone(snapshot, id_)
        found = place and (place[0].rows.timestamps[place[1]], place[0].rows.namespaces[place[1]])
        assert told[id_] == (found or (-1, -1))
    # A filter takes the way through the blocks.
    mine = snapshot.admitted(ids, Filter(now_microseconds(), namespace=odd, archived=archived))
    assert mine == {id_ for id_ in expected if told[id_][1] == odd}


@settings(deadline=None, derandomize=True, max_examples=200)
@given(IDS, st.integers(1, 6))
def test_around(snapshot, ids, reach):
    known = [i for i in range(1, COUNT + 1) if alone(snapshot, i)]
    around = snapshot.home.around(np.array(ids, np.int64), reach)
    for id_, (below, above) in zip(ids, around.tolist(), strict=True):
        lower, higher = [i for i in reversed(known) if i < id_], [i for i in known if i > id_]
        assert below == (lower + [-1] * reach)[:reach]
        assert above == (higher + [-1] * reach)[:reach]


@settings(deadline=None, derandomize=True, max_examples=200)
@given(IDS)
def test_numbering(snapshot, ids):
    home = snapshot.home
    rows = home.rows_of(np.array(ids, np.int64))
    owners, windows = home.numbering.ids_and_windows(rows)
    assert owners.tolist() == sorted(owners.tolist(), key=lambda id_: rows[owners.tolist().index(id_)])
    assert sorted(owners.tolist()) == [id_ for id_ in ids if alone(snapshot, id_)]
    assert not windows.any()
    counts = [
        block.rows.window_count(row) for block, row in (alone(snapshot, id_) for id_ in owners.tolist())
    ]
    assert home.numbering.windows_of(rows).tolist() == counts
