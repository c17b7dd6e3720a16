"""Runs end where they should, whatever happens on the way, and can be taken back."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from tests.conftest import ROOT
from tests.consolidate.fake_store import FakeStore
from tests.consolidate.samples import DAY, START
from tests.consolidate.test_facts import fact

from arrowmind.consolidate import Consolidator, Journal, RunSettings
from arrowmind.consolidate.candidates import Grouping
from arrowmind.consolidate.remote import Completion
from arrowmind.consolidate.summarisers import SummariserSetup, open_summariser
from arrowmind.errors import ConsolidationError, ProviderError
from arrowmind.memory import steps
from arrowmind.memory.keeping.derivation_journal import forget_in_journal
from arrowmind.memory.storage.paths import StorePaths
from arrowmind.observe import render_metrics
from arrowmind.observe.metrics import reset_metrics

GROUPING = Grouping(cosine=0.5, cosine_in_time=0.3)
SETTINGS = RunSettings(grouping=GROUPING)
TOPICS = {
    "cat": ["the cat sleeps on the sofa", "the cat eats on the sofa", "the cat sits on the sofa all day"],
    "car": ["my car needs new tyres", "my car needs new brakes", "my car needs a new battery and oil"],
    "sea": ["we swim in the cold sea", "we swim in the warm sea", "we swim in the deep sea at night"],
}
STEPS = ["planned", "generated", "written", "committed", "visible"]


@pytest.fixture
def store(tmp_path):
    opened = FakeStore(tmp_path / "store")
    yield filled(opened)
    opened.close()


def filled(store):
    for day, texts in enumerate(TOPICS.values()):
        for text in texts:
            store.remember(text, timestamp=START + 30 * day * DAY)
    return store


def extractive(store):
    return open_summariser("extractive", SummariserSetup(store.embed))


def consolidator(store, summariser=None, **fields):
    return Consolidator(store, summariser or extractive(store), SETTINGS, **fields)


def with_settings(store, summariser=None, fallback=None, clock=None, **fields):
    settings = RunSettings(grouping=GROUPING, **fields)
    more = {} if clock is None else {"clock": clock}
    return Consolidator(store, summariser or extractive(store), settings, fallback=fallback, **more)


def check_whole(store, before):
    """No source is lost or changed but in its tier, each is used once, every quote stands in its source."""
    sources = {row[0]: row for row in store.state() if row[6] is None}
    assert [(id_, row[1]) for id_, row in sources.items()] == [(row[0], row[1]) for row in before]
    used = []
    for _, _, quotes, *_ in store.derived():
        cited = json.loads(quotes)
        assert all(quote in sources[id_][1] for id_, quote in cited)
        used.append({id_ for id_, _ in cited})
    assert sum(map(len, used)) == len(set().union(*used)), "a source was used twice"


def test_a_run_from_beginning_to_end(store):
    before = store.state()
    told = []
    report = consolidator(store).run(lambda *values: told.append(values))
    assert (report.groups, report.visible, report.derived, report.sources) == (3, 3, 3, 9)
    assert (report.stopped, report.failed, report.empty) == ("", 0, 0)
    assert told[-1] == (3, 3, "groups")
    check_whole(store, before)
    assert set(store.tiers().values()) == {2}
    with Journal(store.paths.journal) as journal:
        (row,) = journal.runs()
        assert (row.id, row.stopped, row.made_by) == (report.run, "", "extractive")
        assert row.ended is not None
        assert journal.unfinished() == []
        assert all(journal.find(key).payload is None for key in journal.visible(report.run))


def test_a_second_run_finds_nothing(store):
    consolidator(store).run()
    state = store.state()
    report = consolidator(store).run()
    assert report.groups == 0
    assert store.state() == state


def test_derived_memories_are_never_sources(store):
    for _ in range(4):
        for text in TOPICS["cat"]:
            store.remember(text, made_by="extractive")
    report = consolidator(store).run()
    assert report.sources == 9


def test_a_dry_run_writes_nothing(store):
    state = store.state()
    report = consolidator(store).plan()
    assert report.groups == 3
    assert sorted(id_ for planned in report.planned for id_ in planned.sources) == list(range(1, 10))
    assert store.state() == state
    assert not (store.paths.journal).exists()


def test_only_hot_and_settled_memories(store):
    for text in TOPICS["cat"]:
        store.remember(f"{text} again", access=0)
    assert with_settings(store, min_access=6).run().groups == 0
    assert with_settings(store, min_age_seconds=1e9).run().groups == 0
    assert consolidator(store).run().sources == 9


def test_undo_brings_every_byte_back(store):
    before = store.state()
    report = consolidator(store).run()
    assert store.state() != before
    undone = consolidator(store).undo(report.run)
    assert undone.visible == 3
    assert store.state() == before
    assert consolidator(store).run().groups == 0  # what was taken back does not come again by itself
    with pytest.raises(ConsolidationError, match="has nothing to be undone"):
        consolidator(store).undo(report.run)


def test_undo_takes_the_last_run(store):
    with pytest.raises(ConsolidationError, match="no run has made anything visible"):
        consolidator(store).undo()
    consolidator(store).run()
    for text in ("tea is hot", "tea is hot now", "tea is hot again"):
        store.remember(text)
    between = store.state()
    last = consolidator(store).run()
    assert last.groups == 1
    assert consolidator(store).undo().run == last.run
    assert store.state() == between


def test_two_at_once(store):
    started = []

    def begin_another(step):
        if step == "consolidation.generated" and not started:
            started.append(step)
            with pytest.raises(ConsolidationError, match="another process consolidates this store"):
                consolidator(store).run()

    steps.set_hook(begin_another)
    try:
        assert consolidator(store).run().visible == 3
    finally:
        steps.set_hook(None)
    assert started


def test_without_an_encoder(tmp_path):
    store = filled(FakeStore(tmp_path / "store", has_encoder=False))
    report = consolidator(store).run()
    assert report.derived == 3
    store.close()


# Budgets.


class Model:
    """Writes one fact of each group: the first memory itself."""

    name = "model"

    def __init__(self, *errors):
        self.errors = list(errors)
        self.asked = 0

    def complete(self, messages, schema, *, max_tokens, timeout):
        self.asked += 1
        self.max_tokens, self.timeout = max_tokens, timeout
        if self.errors and (error := self.errors.pop(0)) is not None:
            raise error
        first = json.loads(messages[1].text.split("\n")[1])
        answer = {"facts": [fact(first["text"], (first["id"], first["text"]))]}
        return Completion(json.dumps(answer), answer, 60, 40)


def writer(model):
    return open_summariser("llm", SummariserSetup(lambda _: None, model))


def test_facts_of_a_model(store):
    model = Model()
    report = consolidator(store, writer(model)).run()
    assert (report.visible, report.derived, report.tokens_in, report.tokens_out) == (3, 3, 180, 120)
    assert report.made_by == "model/1"
    assert {row[1] for row in store.derived()} <= {text for texts in TOPICS.values() for text in texts}


def test_runs_are_counted(store):
    reset_metrics()
    consolidator(store, writer(Model())).run()
    text = render_metrics()
    assert 'arrowmind_consolidation_runs_total{outcome="complete"} 1' in text
    assert 'arrowmind_consolidation_memories_total{what="derived"} 3' in text
    assert 'arrowmind_consolidation_memories_total{what="source"} 9' in text
    assert 'arrowmind_consolidation_tokens_total{direction="written"} 120' in text


def test_tokens_are_spent_over_several_nights(store):
    model, before = Model(), store.state()
    first = with_settings(store, writer(model), budget_tokens=150).run()
    assert first.visible == 2
    assert first.stopped == "200 of 150 tokens are spent"
    assert model.max_tokens == 50  # what was left
    second = with_settings(store, writer(model), budget_tokens=150).run()
    assert (second.visible, second.stopped) == (1, "")
    assert model.asked == 3
    check_whole(store, before)


def test_time_is_over(store):
    now = [0.0]

    class Slow(Model):
        def complete(self, *values, **options):
            now[0] += 50
            return super().complete(*values, **options)

    model = Slow()
    run = with_settings(store, writer(model), clock=lambda: now[0], budget_seconds=60.0)
    report = run.run()
    assert (report.visible, report.stopped, report.seconds) == (2, "60 seconds are over", 100.0)
    assert model.timeout == 10.0


# Models that fail.


def test_a_model_that_is_down_stops_the_run_and_loses_nothing(store):
    before = store.state()
    model = Model(*[ProviderError("nobody answers", is_passing=True)] * 2)
    report = consolidator(store, writer(model)).run()
    assert (report.visible, report.failed) == (0, 2)
    assert report.stopped == "the language model failed: nobody answers"
    assert store.state() == before
    report = consolidator(store, writer(model)).run()
    assert (report.visible, report.stopped) == (3, "")
    check_whole(store, before)


def test_one_failure_does_not_stop_the_others(store):
    model = Model(ProviderError("rubbish", is_passing=True))
    report = consolidator(store, writer(model)).run()
    assert (report.visible, report.failed, report.stopped) == (2, 1, "")
    assert consolidator(store, writer(model)).run().visible == 1


def test_the_extract_takes_over(store):
    model = Model(*[ProviderError("down")] * 9)
    report = consolidator(store, writer(model), fallback=extractive(store)).run()
    assert (report.visible, report.failed) == (3, 0)
    assert model.asked == 2  # after two failures in a row it is not asked again
    assert {row[6] for row in store.state()} == {None, "extractive"}


def test_a_group_that_always_fails_is_given_up(store):
    for _ in range(12):
        model = Model(*[ProviderError("no JSON", is_answer=True)] * 9)
        consolidator(store, writer(model)).run()
    with Journal(store.paths.journal) as journal:
        assert journal.unfinished() == []
    assert model.asked == 0


def test_an_outage_of_many_nights_gives_up_nothing(store):
    for _ in range(12):
        model = Model(*[ProviderError("nobody answers", is_passing=True)] * 9)
        consolidator(store, writer(model)).run()
    assert consolidator(store, writer(Model())).run().visible == 3


def test_a_model_that_proves_nothing_leaves_the_sources_alone(store):
    class Liar(Model):
        def complete(self, *_, **__):
            return Completion("", {"facts": [fact("All is well.", (1, "all is well"))]}, 1, 1)

    before = store.state()
    report = consolidator(store, writer(Liar())).run()
    assert (report.empty, report.visible) == (3, 0)
    assert report.dropped == {"no such quote": 3}
    assert store.state() == before
    assert consolidator(store, writer(Model())).run().groups == 0


def test_a_contradiction_closes_a_known_fact_and_undo_opens_it(store):
    old = store.remember("the cat sleeps in a basket", timestamp=START - DAY, made_by="model")

    class Newer(Model):
        def complete(self, messages, schema, **options):
            answer = super().complete(messages, schema, **options).data
            answer["facts"][0]["replaces"] = [f"known:{old}"]
            return Completion("", answer, 1, 1)

    before = store.state()
    store._db.execute("UPDATE memory SET valid_from = ? WHERE id = ?", (START - DAY, old))
    before = store.state()
    consolidator(store, writer(Newer())).run()
    rows = {row[0]: row for row in store.derived()}
    assert rows[old][1] == "the cat sleeps in a basket"  # never overwritten
    assert rows[old][4] == START
    assert any(json.loads(row[5] or "[[]]")[0] == [old] for row in rows.values())
    consolidator(store).undo()
    assert store.state() == before


# Forgetting.


@pytest.mark.parametrize("step", STEPS[:3])
def test_a_source_is_forgotten_meanwhile(store, step):
    def forget(reached):
        if reached == f"consolidation.{step}":
            store.forget(2)

    steps.set_hook(forget)
    try:
        report = consolidator(store).run()
    finally:
        steps.set_hook(None)
    assert report.visible == 2
    cited = {id_ for row in store.derived() for id_, _ in json.loads(row[2])}
    assert not cited & {1, 2, 3}
    assert b"sofa" not in (store.paths.journal).read_bytes()


@pytest.mark.parametrize("step", STEPS[:3])
def test_a_source_is_forgotten_in_store_and_journal(store, step):
    def forget(reached):
        if reached == f"consolidation.{step}":
            store.forget(2)
            forget_in_journal(store.paths, [2])

    steps.set_hook(forget)
    try:
        report = consolidator(store).run()
    finally:
        steps.set_hook(None)
    assert (report.visible, report.stopped) == (2, "")
    assert forget_in_journal(StorePaths(store.paths.root / "none"), [2]) == 0


def test_the_journal_forgets_every_byte(store):
    class Stopped(BaseException):
        pass

    def stop(reached):
        if reached == "consolidation.generated":
            raise Stopped

    steps.set_hook(stop)
    try:
        with pytest.raises(Stopped):
            consolidator(store).run()
    finally:
        steps.set_hook(None)
    file = store.paths.journal
    with Journal(file) as journal:
        (task,) = [task for task in journal.unfinished() if task.payload]
        words = json.loads(task.payload)["derived"][0]["text"].encode()
        assert words in file.read_bytes()
    assert forget_in_journal(store.paths, task.sources[:1]) == 1
    files = store.paths.root.glob(f"{store.paths.journal.name}*")
    left = b"".join(path.read_bytes() for path in files)
    assert words not in left


# Kills.

PROGRAM = """
import os, pathlib, sys
from arrowmind.memory import steps
from arrowmind.memory.keeping.derivation_journal import forget_in_journal
from arrowmind.observe import render_metrics
from arrowmind.observe.metrics import reset_metrics
from tests.consolidate.fake_store import FakeStore
from tests.consolidate.test_consolidator import consolidator
step, left = sys.argv[2], int(sys.argv[3])
def die(reached):
    global left
    if reached == step:
        left -= 1
        if left < 0:
            os._exit(9)
steps.set_hook(die)
store = FakeStore(pathlib.Path(sys.argv[1]))
getattr(consolidator(store), sys.argv[4])()
"""


def killed(store, step, patience=0, work="run"):
    path = os.pathsep.join([str(ROOT), str(ROOT / "python")])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(store.paths.root), f"consolidation.{step}", str(patience), work],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 9, done.stderr


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_each_step_the_next_run_finishes(store, step):
    before = store.state()
    killed(store, step, patience=0 if step == "planned" else 1)
    check_whole(store, before)
    report = consolidator(store).run()
    assert report.stopped == ""
    assert len(store.derived()) == 3
    assert set(store.tiers().values()) == {2}
    check_whole(store, before)
    assert consolidator(store).run().groups == 0


def test_killed_while_undoing(store):
    before = store.state()
    report = consolidator(store).run()
    killed(store, "undone", work="undo")
    assert consolidator(store).undo(report.run).groups == 3
    assert store.state() == before
