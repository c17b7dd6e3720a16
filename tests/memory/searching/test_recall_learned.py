"""Recall ordered by signals: speakers, times, replies, one's own weights, other strategies."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from arrowmind.errors import InvalidArgumentError
from arrowmind.memory import MemoryStore, RecallSettings

THEN = datetime(2023, 5, 8, 12, tzinfo=timezone.utc)


def tell(store, texts, start=THEN, step=timedelta(seconds=20)):
    return store.remember_many(texts, timestamp=[start + i * step for i in range(len(texts))])


def test_the_speaker_who_is_named_comes_first(store):
    ids = tell(store, ["Ann: I like the garden", "Ben: I like the garden"])
    assert store.recall("What does Ben like?")[0].id == ids[1]
    assert store.recall("What does Ann like?")[0].id == ids[0]
    assert store.recall("What does Ben like?")[0].explain.parts["speaker"] > 0


def test_a_time_in_the_query_is_a_boost_and_no_filter(store):
    ids = tell(store, ["we went to the lake", "we went to the lake"], step=timedelta(days=90))
    hits = store.recall("the lake on 6 August 2023")
    assert [hit.id for hit in hits] == ids[::-1]
    assert hits[0].explain.parts["moment"] > hits[1].explain.parts["moment"]


def test_what_answers_a_question_is_found_through_it(store):
    texts = ["Ann: Which instrument do you play?", "Ben: The oboe, for six years now."]
    ids = tell(store, [*texts, *(f"Ann: something else {i}" for i in range(30))])
    hits = store.recall("Which instrument?", 2)
    assert {hit.id for hit in hits} == set(ids[:2])


def test_a_quoted_phrase_counts(store):
    ids = tell(store, ["the pot was blue and round", "the blue pot and the round one"])
    settings = store.recall('"blue pot"')
    assert settings[0].id == ids[1]
    assert settings[0].explain.parts["phrases"] > settings[1].explain.parts["phrases"]


@pytest.mark.parametrize("fusion", ["learned", "association", "score", "rank"])
def test_parts_sum_to_scores(tmp_path, encoder, fusion):
    with MemoryStore(tmp_path / "s", encoder, recall_settings=RecallSettings(fusion=fusion)) as store:
        tell(store, ["Ann: the red kite", "Ben: red and blue", "Ann: a kite in the wind?"])
        store.link()
        hits = store.recall("When was the red kite there?")
        assert len(hits) == 3
        for hit in hits:
            assert hit.score == pytest.approx(sum(hit.explain.parts.values()))


def test_weights_of_ones_own(tmp_path, encoder):
    settings = RecallSettings(weights={"length": 1.0})
    with MemoryStore(tmp_path / "s", encoder, recall_settings=settings) as store:
        ids = tell(store, ["a kite", "a kite that was far longer than any other kite that was ever seen"])
        hits = store.recall("kite")
        assert [hit.id for hit in hits] == ids[::-1]
        assert set(hits[0].explain.parts) == {"length"}


class LastFirst:
    def scores(self, query, texts):
        return range(len(texts))


def test_a_reranker_turns_the_order(tmp_path, encoder):
    with MemoryStore(tmp_path / "s", encoder) as store:
        tell(store, ["a red kite", "a blue kite", "no such thing"])
        plain = [hit.id for hit in store.recall("a red kite")]
    settings = RecallSettings(reranker=LastFirst(), rerank_weight=1000.0)
    with MemoryStore(tmp_path / "s", encoder, recall_settings=settings) as store:
        hits = store.recall("a red kite")
        assert [hit.id for hit in hits] == plain[::-1]
        assert hits[0].explain.parts["reranker"] == 1000.0


class Remembers:
    """Prefers long texts, and knows what it has read."""

    def __init__(self):
        self.read = []

    def scores(self, query, texts):
        self.read += texts
        return [len(text) for text in texts]


@pytest.mark.parametrize("settings", [{"fusion": "score"}, {"fusion": "rank"}, {"text_weight": 0}, {}])
def test_a_reranker_reads_so_many_whatever_came_before(tmp_path, encoder, settings):
    reranker = Remembers()
    settings = RecallSettings(reranker=reranker, rerank_depth=3, rerank_weight=100.0, **settings)
    with MemoryStore(tmp_path / "s", encoder, recall_settings=settings) as store:
        tell(store, [f"a red kite {'x' * i}" for i in range(8)])
        hits = store.recall("a red kite", 5)
    assert len(reranker.read) == 3
    assert [hit.text for hit in hits[:2]] == sorted(reranker.read, key=len, reverse=True)[:2]
    assert sum("reranker" in hit.explain.parts for hit in hits) in (2, 3)  # the worst of them gains nothing
    for hit in hits:
        assert hit.score == pytest.approx(sum(hit.explain.parts.values()))


@pytest.mark.parametrize(
    "bad",
    [
        {"fusion": "magic"},
        {"weights": {"nothing": 1.0}},
        {"alpha": -0.1},
        {"alpha": 0.0, "beta": 0.0},
        {"beta": float("nan")},
        {"rerank_depth": 0},
    ],
)
def test_bad_settings_are_refused(bad):
    with pytest.raises(InvalidArgumentError):
        RecallSettings(**bad)


def test_neighbours_of_other_namespaces_are_none(tmp_path, encoder):
    with MemoryStore(tmp_path / "s", encoder) as store:
        store.remember("which pot?", namespace="a", timestamp=THEN)
        store.remember("secret", namespace="b", timestamp=THEN)
        store.remember("the blue one", namespace="a", timestamp=THEN)
        evidence = store.evidence("which pot?", 10, namespace="a")
        assert len(evidence.ids) == 2
        assert evidence.values[1, evidence.names.index("replies")] > 0
        assert store.evidence("x", namespace="none") is None


def test_neighbours_lie_in_other_files_too(store):
    first = tell(store, ["Ann: Which instrument do you play?"])
    store.flush()
    tell(store, ["Ben: The oboe."], THEN + timedelta(seconds=20))
    evidence = store.evidence("Which instrument?", 10)
    column = evidence.values[:, evidence.names.index("replies")]
    assert column[1 - evidence.ids.index(first[0])] > 0


@pytest.mark.parametrize("fusion", ["learned", "association", "score", "rank"])
def test_trust_orders_what_is_near(tmp_path, encoder, fusion):
    texts = ["the shop opens at nine", "the shop opens at nine", "the shop opens at nine"]
    with MemoryStore(tmp_path / "s", encoder) as store:
        ids = [
            store.remember(text, timestamp=THEN + timedelta(days=day), origin=origin)
            for day, (text, origin) in enumerate(zip(texts, ("web", "user", "agent"), strict=True))
        ]
        store.remember("something else altogether", origin="user")

    def found(**settings):
        recall_settings = RecallSettings(fusion=fusion, rank_offset=1000, **settings)
        with MemoryStore(tmp_path / "s", encoder, recall_settings=recall_settings) as opened:
            return opened.recall("when does the shop open?", 4)

    hits = found()
    assert [hit.id for hit in hits[:3]] == [ids[1], ids[2], ids[0]]
    assert "trust" not in hits[0].explain.parts
    assert [hit.explain.parts["trust"] for hit in hits[1:3]] == [pytest.approx(-0.004), pytest.approx(-0.014)]
    assert hits[2].score == pytest.approx(sum(hits[2].explain.parts.values()))
    without = found(trust_weight=0.0)
    assert {hit.id for hit in without[:3]} == set(ids)
    assert not any("trust" in hit.explain.parts for hit in without)
    # What answers better comes first, whoever says it.
    assert found(trust_weight=0.0)[0].id == ids[0]


def test_trust_may_bring_up_what_was_not_among_the_best(tmp_path, encoder):
    with MemoryStore(tmp_path / "s", encoder) as store:
        days = [THEN + timedelta(days=day) for day in range(6)]
        rumours = store.remember_many(["the train leaves at noon"] * 5, timestamp=days[:5], origin="web")
        known = store.remember("the train leaves at noon", timestamp=days[5], origin="user")
        assert store.recall("when does the train leave", 1)[0].id == known
        assert store.recall("when does the train leave", 6)[-1].id in rumours


@pytest.mark.parametrize("wrong", [{"trust_weight": -1}, {"link_weight": 11}, {"trust_weight": float("nan")}])
def test_weights_out_of_range_are_refused(wrong):
    with pytest.raises(InvalidArgumentError, match="give numbers of 0 to 10"):
        RecallSettings(**wrong)
