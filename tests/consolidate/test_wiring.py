"""Consolidation of a real store: what is derived is recalled with its sources, and goes without a trace."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import datetime, timedelta, timezone

import numpy as np
import pytest
from tests.conftest import ROOT
from tests.consolidate.test_consolidator import TOPICS, Model, writer
from tests.consolidate.test_facts import fact
from tests.memory.fake_encoder import FakeEncoder

from arrowmind.consolidate import Consolidator, RunSettings, Tier, Wanted
from arrowmind.consolidate.candidates import Grouping
from arrowmind.consolidate.remote import Completion
from arrowmind.consolidate.summarisers import SummariserSetup, open_summariser
from arrowmind.consolidate.wiring import StoreView
from arrowmind.memory import MemoryStore, steps

GROUPING = Grouping(cosine=0.5, cosine_in_time=0.3)
OLD = datetime(2024, 3, 1, tzinfo=timezone.utc)
FAR = 2**60


@pytest.fixture(params=["waiting", "in a segment"])
def store(tmp_path, request):
    with MemoryStore(tmp_path / "store", FakeEncoder()) as opened:
        for number, texts in enumerate(TOPICS.values()):
            opened.remember_many(texts, timestamp=OLD + timedelta(30 * number), category="notes")
        if request.param == "in a segment":
            opened.flush()
        yield opened


@pytest.fixture
def view(store, tmp_path):
    found = StoreView(store, FakeEncoder())
    yield found
    found.close()


def consolidator(view, summariser=None, **fields):
    settings = RunSettings(min_access=0, grouping=GROUPING, **fields)
    extractive = open_summariser("extractive", SummariserSetup(view.embed))
    return Consolidator(view, summariser or extractive, settings)


def state(store, ids):
    """What callers see, but for how often they looked."""
    plain = [store.get(id_).to_dict() | {"access_count": 0, "last_access": None} for id_ in ids]
    return plain, store.stats().records


def test_a_run_and_its_undo(store, view):
    before = state(store, range(1, 10))
    report = consolidator(view).run()
    assert (report.visible, report.derived, report.sources) == (3, 3, 9)
    assert store.stats().records == 12
    assert {store.get(id_).tier for id_ in range(1, 10)} == {"cold"}
    record = next(record for record in store.newest(3) if "cat" in record.text)
    derivation = record.derivation
    assert (record.origin, derivation.made_by) == ("derived", "extractive")
    assert record.category == "notes"
    assert record.timestamp == OLD
    # It gives way to what it quotes.
    assert {hit.record.origin for hit in store.recall("the cat on the sofa", 5)} == {"user"}
    for quote in derivation.quotes:
        assert quote.text in store.get(quote.source).text
    assert store.verify().ok
    assert consolidator(view).run().groups == 0
    consolidator(view).undo(report.run)
    assert state(store, range(1, 10)) == before
    assert store.verify().ok
    assert consolidator(view).run().groups == 0


def test_what_was_recalled_is_near_again_after_the_next_run(store, view):
    consolidator(view).run()
    assert files_of(store) == ["cold"]
    wanted = {hit.id for hit in store.recall("the cat on the sofa", 2)}
    store._sessions.current.accesses.write(1.0)
    assert consolidator(view, is_warming=False).run().moved == 0
    report = consolidator(view).run()
    assert report.moved == 2
    assert {id_ for id_ in range(1, 10) if store.get(id_).tier == "warm"} == wanted
    assert files_of(store) == ["cold", "warm"]
    assert consolidator(view).run().moved == 0
    consolidator(view).undo(report.run)
    assert {store.get(id_).tier for id_ in range(1, 10)} == {"cold"}
    assert files_of(store) == ["cold"]
    assert store.verify().ok


def files_of(store):
    """Where memories lie, but for derived ones."""
    blocks = store._sessions.current.snapshot().blocks
    return sorted(
        {"cold" if b.rows.is_cold else "warm" for b in blocks if len(b.rows) and int(b.rows.ids[0]) < 10}
    )


def test_derived_memories_are_found_by_their_own_words_at_once(store, view):
    consolidator(view, writer(Model())).run()
    found = [hit for hit in store.recall("tyres of my car", 5) if hit.record.origin == "derived"]
    assert found
    assert found[0].record.derivation.made_by == "model/1"


def test_candidates_are_hot_settled_and_unused(store, view):
    for _ in range(3):
        store.recall("my car", 3)
    store.close()  # writes the counters
    ids = [memory.id for memory in view.candidates(Wanted(3, FAR, 100))]
    assert ids == [4, 5, 6]
    found = view.candidates(Wanted(0, FAR, 4))
    assert [memory.id for memory in found] == [4, 5, 6, 1]
    assert found[0].access_count == 3
    assert np.isclose(np.linalg.norm(found[0].vector), 1)
    assert view.candidates(Wanted(0, 1, 100)) == []


def test_what_is_derived_or_was_a_source_is_no_candidate(store, view):
    store.remember("the cat sleeps on the sofa again", origin="derived", timestamp=OLD)
    assert len(view.candidates(Wanted(0, FAR, 100))) == 9
    consolidator(view, originals=Tier.HOT).run()
    assert {store.get(id_).tier for id_ in range(1, 10)} == {"hot"}
    assert view.candidates(Wanted(0, FAR, 100)) == []


def test_namespaces_stay_apart(tmp_path):
    with MemoryStore(tmp_path / "store", FakeEncoder()) as store:
        for name in ("ann", "bob"):
            store.remember_many(TOPICS["cat"], timestamp=OLD, namespace=name)
        view = StoreView(store, FakeEncoder())
        assert consolidator(view).run().derived == 2
        for name in ("ann", "bob"):
            (record,) = store.newest(1, namespace=name)
            sources = [store.get(quote.source) for quote in record.derivation.quotes]
            assert {source.namespace for source in sources} == {name}
        view.close()


def test_a_contradiction_closes_an_older_fact(store, view):
    consolidator(view, writer(Model())).run()
    known = view.known_facts(FakeEncoder().encode(["cat sofa"])[0], "default", 8)
    old = next(found for found in known if "cat" in found.text)
    later = datetime(2025, 3, 1, tzinfo=timezone.utc)
    store.remember_many(
        ["the cat hates the sofa now", "the cat hates the sofa", "the cat hates that sofa"], timestamp=later
    )

    class Newer(Model):
        def complete(self, messages, schema, **options):
            shown = [json.loads(line) for line in messages[1].text.split("\n") if line.startswith("{")]
            first = shown[0]
            answer = fact(first["text"], (first["id"], first["text"]), replaces=[f"known:{old.id}"])
            return Completion("", {"facts": [answer]}, 1, 1)

    consolidator(view, writer(Newer())).run()
    closed = store.get(old.id).derivation
    assert closed.valid_to == round(later.timestamp() * 1e6)
    assert len(closed.replaced_by) == 1
    assert store.get(closed.replaced_by[0]).text == "the cat hates the sofa now"
    assert old.id not in {f.id for f in view.known_facts(FakeEncoder().encode(["cat"])[0], "default", 8)}
    consolidator(view).undo()
    assert store.get(old.id).derivation.valid_to == 0


def test_forgetting_a_source_takes_its_facts_along(store, view):
    consolidator(view).run()
    assert store.forget(1) >= 1
    left = [hit.record for hit in store.recall("cat sofa", 9)]
    assert all(1 not in {q.source for q in record.derivation.quotes} for record in left if record.derivation)


def test_forgetting_erases_what_is_in_the_making(store, view):
    class Stopped(BaseException):
        pass

    def stop(reached):
        if reached == "consolidation.generated":
            raise Stopped

    steps.set_hook(stop)
    try:
        with pytest.raises(Stopped):
            consolidator(view).run()
    finally:
        steps.set_hook(None)
    store.forget(range(1, 10))
    store.compact()
    for path in view.paths.root.rglob("*"):
        assert not path.is_file() or b"sofa" not in path.read_bytes(), path
    assert consolidator(view).run().groups == 0


def test_tiering_moves_are_one_change(store, view):
    assert [memory.id for memory in view.texts()] == list(range(1, 10))
    view.move("tiers-1", {1: Tier.COLD, 2: Tier.ARCHIVED})
    assert [store.get(id_).tier for id_ in (1, 2, 3)] == ["cold", "archived", "hot"]
    assert {memory.id: memory.tier for memory in view.texts()}[2] == Tier.ARCHIVED
    assert view.undo(["tiers-1"]) == 1
    assert store.get(2).tier == "hot"


PROGRAM = """
import os, pathlib, sys
from arrowmind.memory import MemoryStore, steps
from arrowmind.consolidate.wiring import StoreView
from tests.consolidate.test_wiring import consolidator
from tests.memory.fake_encoder import FakeEncoder
def die(reached):
    if reached == sys.argv[2]:
        os._exit(9)
steps.set_hook(die)
folder = pathlib.Path(sys.argv[1])
store = MemoryStore(folder, FakeEncoder())
consolidator(StoreView(store, FakeEncoder())).run()
"""


@pytest.mark.parametrize("step", ["consolidation.written", "change.before_commit", "change.committed"])
def test_killed_around_the_commit(store, view, step):
    path = os.pathsep.join([str(ROOT), str(ROOT / "python")])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(view.paths.root), step],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 9, done.stderr
    assert store.stats().records in (9, 10)
    consolidator(view).run()
    assert store.stats().records == 12
    assert {store.get(id_).tier for id_ in range(1, 10)} == {"cold"}
    assert store.verify().ok
