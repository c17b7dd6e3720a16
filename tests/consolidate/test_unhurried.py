"""A consolidation rests between pieces of its work, outside of transactions, and finds the same."""

from __future__ import annotations

import sqlite3
import traceback
from contextlib import closing

import numpy as np
from tests.memory.fake_encoder import FakeEncoder

from arrowmind.config import ConsolidationSettings
from arrowmind.consolidate.associating import associate
from arrowmind.consolidate.opening import open_consolidator
from arrowmind.consolidate.unhurried import UnhurriedEncoder
from arrowmind.consolidate.wiring import StoreView
from arrowmind.memory import MemoryStore
from arrowmind.memory.resting import may_rest, resting

ALL = ConsolidationSettings(min_access=0, min_age_hours=0)
TEXTS = [
    f"{who} likes {what} and pot number {n}."
    for n in range(12)
    for who in ("ann", "bob")
    for what in ("tea", "figs")
]


def test_an_encoder_a_few_texts_at_a_time():
    encoder = FakeEncoder()
    slow, rests = UnhurriedEncoder(encoder), []
    with resting(lambda: rests.append(encoder.calls)):
        vectors = slow.encode(TEXTS[:5])
    assert np.array_equal(vectors, FakeEncoder().encode(TEXTS[:5]))
    assert rests == [0, 1, 2]
    assert slow.encode([]).shape == (0, 64)
    assert (slow.dimension, slow.fingerprint) == (64, encoder.fingerprint)
    assert slow.windows("one two three", 2) == ["one two", "three"]


def test_one_way_to_rest_at_a_time():
    rests = []
    may_rest()
    with resting(lambda: rests.append("outer")):
        with resting(lambda: rests.append("inner")):
            may_rest()
        may_rest()
    may_rest()
    assert rests == ["inner", "outer"]


def consolidated(folder, rest):
    with MemoryStore(folder, UnhurriedEncoder(FakeEncoder())) as store:
        store.remember_many(TEXTS, timestamp=list(range(len(TEXTS))))
        store.flush()
        with closing(StoreView(store, UnhurriedEncoder(FakeEncoder()))) as view, resting(lambda: rest(store)):
            report = open_consolidator(ALL, view).run()
            associate(store)
        found = [[(hit.id, hit.text) for hit in store.recall(text, 5)] for text in TEXTS[:6]]
        return (report.groups, report.derived, report.sources), found


def test_work_rests_in_every_part_and_never_while_others_wait_to_write(tmp_path):
    places = set()

    def rest(store):
        places.update(frame.name for frame in traceback.extract_stack())
        with closing(sqlite3.connect(store.paths.catalogue, timeout=0, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            other.execute("ROLLBACK")

    rested = consolidated(tmp_path / "rested", rest)
    assert rested[0][0] > 0
    parts = {
        "candidates",
        "group",
        "summarise",
        "_made_again",
        "write_cold",
        "link_new",
        "_similar",
        "weights",
    }
    assert parts <= places
    assert consolidated(tmp_path / "plain", lambda _: None) == rested
