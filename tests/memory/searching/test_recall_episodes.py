"""Recall of episodes: sessions of a conversation, found as wholes."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import pytest

from arrowmind.errors import InvalidArgumentError
from arrowmind.memory import MemoryStore, RecallSettings
from arrowmind.memory.keeping.lifecycle import Change, Derived
from arrowmind.memory.ranking.weights import shipped_episode_weights
from arrowmind.memory.storage.lifecycle_tables import EXTRACT, Quote

THEN = datetime(2023, 5, 8, 12, tzinfo=timezone.utc)
SESSIONS = [
    ["Ann: I bought a red kayak", "Ben: lovely, which lake?", "Ann: the long one"],
    ["Ben: my oven broke", "Ann: oh dear", "Ben: a new one comes on Friday"],
    ["Ann: we paddled the kayak for hours", "Ben: the kayak again", "Ann: kayak days are the best"],
]


def tell(store, sessions=SESSIONS, **more):
    """Ids of each session; a day lies between two of them."""
    told = []
    for day, texts in enumerate(sessions):
        moments = [THEN + timedelta(days=day, seconds=20 * turn) for turn in range(len(texts))]
        told.append(store.remember_many(texts, timestamp=moments, **more))
    return told


def test_sessions_are_found_as_wholes(store):
    told = tell(store)
    episodes = store.recall_episodes("kayak", hits=2)
    assert [list(episode.ids) for episode in episodes][:2] in ([told[2], told[0]], [told[0], told[2]])
    assert list(episodes[2].ids) == told[1]
    for episode in episodes:
        assert episode.score == pytest.approx(sum(episode.parts.values()))
        assert len(episode.hits) == 2
        assert {hit.id for hit in episode.hits} <= set(episode.ids)
        assert episode.hits[0].score >= episode.hits[1].score
        assert episode.ended - episode.began == timedelta(seconds=40)
        assert episode.hits[0].score == pytest.approx(sum(episode.hits[0].explain.parts.values()))
    assert json.loads(json.dumps(episodes[0].to_dict()))["hits"][0]["text"] == episodes[0].hits[0].text


def test_an_episode_is_complete_though_few_of_it_match(tmp_path, encoder):
    settings = RecallSettings(depth=4)
    with MemoryStore(tmp_path / "s", encoder, recall_settings=settings) as store:
        told = tell(store, [[*(f"word{day} a{i}" for i in range(12)), f"kayak {day}"] for day in range(30)])
        episodes = store.recall_episodes("kayak", 1, hits=1)
        assert list(episodes[0].ids) in told


def test_each_of_many_episodes_has_all_its_memories(store, rng):
    """Of those that were not among the first guesses only what search had found was there."""
    sessions = [
        ["kayak " + " ".join(f"w{word}" for word in rng.integers(0, 40, 8)) for _ in range(12)]
        for _ in range(200)
    ]
    told = tell(store, sessions)
    for query in ("kayak w1 w2 w3", "kayak w4 w5 w6", "kayak w7 w8 w9"):
        episodes = store.recall_episodes(query, 3)
        assert len(episodes) == 3
        assert all(list(episode.ids) in told for episode in episodes)
        assert all(episode.ended - episode.began == timedelta(seconds=220) for episode in episodes)
        assert len({episode.ids for episode in episodes}) == 3


def test_limits_and_forgotten_memories(store):
    told = tell(store, category="talk")
    store.remember("a kayak elsewhere", category="other", timestamp=THEN)
    store.forget(told[2][0])
    found = store.recall_episodes("kayak", category="talk", since=THEN + timedelta(days=1))
    assert [list(episode.ids) for episode in found] in (
        [told[2][1:], told[1]],
        [told[1], told[2][1:]],
    )
    assert store.recall_episodes("kayak", category="nothing") == []
    assert store.recall_episodes("kayak", since=THEN + timedelta(days=99)) == []
    assert store.recall_episodes("kayak", modality="image") == []
    assert store.recall_episodes("") == []
    assert len(store.recall_episodes("kayak", 1)) == 1


def test_namespaces_do_not_see_each_other(store):
    tell(store, namespace="ann")
    (mine,) = tell(store, [["a kayak of mine", "and an oar"]], namespace="ben")
    assert [list(episode.ids) for episode in store.recall_episodes("kayak", namespace="ben")] == [mine]


def test_hits_count_as_recalled(store):
    tell(store)
    (episode,) = store.recall_episodes("kayak", 1, hits=1)
    assert store.get(episode.hits[0].id).access_count == 1
    others = set(episode.ids) - {episode.hits[0].id}
    assert all(store.get(id_).access_count == 0 for id_ in others)


def test_an_empty_store_has_none(store):
    assert store.recall_episodes("kayak") == []


@pytest.mark.parametrize("words", [{"text": 3}, {"text": "a", "top_k": 0}, {"text": "a", "hits": 0}])
def test_bad_arguments_are_told(store, words):
    with pytest.raises(InvalidArgumentError):
        store.recall_episodes(**words)


def test_words_alone_find_episodes(tmp_path, encoder):
    with MemoryStore(tmp_path / "s", encoder) as store:
        told = tell(store)
    with MemoryStore(tmp_path / "s") as store:
        assert list(store.recall_episodes("oven")[0].ids) == told[1]
        assert store.evidence("oven", 1, episodes=True).episode_values.shape[1] == 5


def test_weights_of_ones_own(tmp_path, encoder):
    settings = RecallSettings(episode_weights={"length": 1.0})
    with MemoryStore(tmp_path / "s", encoder, recall_settings=settings) as store:
        told = tell(store, [["short"], ["long " * 20]])
        assert [list(episode.ids) for episode in store.recall_episodes("short")] == told[::-1]
    with pytest.raises(InvalidArgumentError, match="nonsense"):
        RecallSettings(episode_weights={"nonsense": 1.0})


SIDE_BY_SIDE = [("s1", "I bought a red kayak"), ("s2", "my oven broke"), ("s1", "for the long lake")]


def told_by_session(store, rounds=1, **more):
    """Ids by session; both go on at the same time."""
    told = {"s1": [], "s2": []}
    for place, (session, text) in enumerate(SIDE_BY_SIDE * rounds):
        about = {"timestamp": THEN + timedelta(seconds=place), "metadata": {"session": session, "n": place}}
        told[session].append(store.remember(f"{text} {place}", **about, **more))
    return told


def test_sessions_side_by_side_are_told_apart_by_a_field(store):
    told = told_by_session(store)
    later = THEN + timedelta(days=9)
    again = store.remember("the kayak again", timestamp=later, metadata={"session": "s1"})
    store.flush()
    together = {tuple(episode.ids) for episode in store.recall_episodes("kayak")}
    assert together == {tuple(sorted(told["s1"] + told["s2"])), (again,)}
    first, second = store.recall_episodes("kayak", by="metadata.session")
    assert (first.value, list(first.ids)) == ("s1", [*told["s1"], again])
    assert (second.value, list(second.ids)) == ("s2", told["s2"])
    assert first.ended - first.began == timedelta(days=9)
    assert json.loads(json.dumps(first.to_dict()))["value"] == "s1"


def test_a_session_of_many_memories_is_looked_through(tmp_path, encoder):
    settings = RecallSettings(depth=4)
    with MemoryStore(tmp_path / "s", encoder, recall_settings=settings) as store:
        told = told_by_session(store, rounds=30)
        (first, *_) = store.recall_episodes("kayak", 1, hits=1, by="metadata.session")
        assert first.value == "s1"
        assert list(first.ids) == told["s1"]


def test_what_has_no_value_is_put_together_by_time(store):
    ids = tell(store)
    value = {"a": [1], "b": 2}
    labelled = store.remember("a kayak by itself", timestamp=THEN, metadata={"session": value})
    turned = {"session": dict(reversed(value.items()))}
    same = store.remember("and an oar", timestamp=THEN, metadata=turned)
    none = store.remember("a kayak of nobody", timestamp=THEN, metadata={"session": None})
    episodes = store.recall_episodes("kayak", by="metadata.session")
    assert {tuple(episode.ids): episode.value for episode in episodes} == {
        (labelled, same): value,
        (*ids[0], none): None,
        tuple(ids[1]): None,
        tuple(ids[2]): None,
    }


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("category", {"sea": {1, 2}, "land": {3}, None: {4}}),
        ("origin", {"user": {1, 3}, "web": {2, 4}}),
        ("namespace", {"default": {1, 2, 3}, "other": {4}}),
    ],
)
def test_fields_of_records(store, by, expected):
    days = [{"timestamp": THEN + timedelta(days=day)} for day in range(4)]
    store.remember("a kayak", category="sea", **days[0])
    store.remember("a kayak again", category="sea", origin="web", **days[1])
    store.remember("a kayak on a car", category="land", **days[2])
    store.remember("a kayak, elsewhere", namespace="other", origin="web", **days[3])
    found = store.recall_episodes("kayak", by=by)
    values = {}
    for episode in found:
        values.setdefault(episode.value, set()).update(episode.ids)
    assert values == expected
    # One value in two namespaces is two episodes.
    assert len(found) == len(expected) + (by == "origin")


def test_a_field_shows_nothing_of_other_namespaces(store):
    mine = told_by_session(store, namespace="mine")
    told_by_session(store, namespace="others")
    found = store.recall_episodes("kayak", by="metadata.session", namespace="mine", hits=10)
    assert {id_ for episode in found for id_ in episode.ids} == {id_ for ids in mine.values() for id_ in ids}
    assert {hit.record.namespace for episode in found for hit in episode.hits} == {"mine"}
    found = store.recall_episodes("kayak", by="metadata.session")
    assert sorted(len(episode.ids) for episode in found) == [1, 1, 2, 2]


@pytest.mark.parametrize("by", ["session", "metadata.", "metadata", "", 3, "trust"])
def test_what_is_no_field(store, by):
    with pytest.raises(InvalidArgumentError, match=r"category, namespace, origin, or metadata\.NAME"):
        store.recall_episodes("kayak", by=by)


def test_evidence_by_a_field(store):
    told_by_session(store)
    assert store.evidence("kayak", 1, episodes=True).episode_values.shape[0] == 1
    assert store.evidence("kayak", 1, episodes=True, by="metadata.session").episode_values.shape[0] == 2


def test_trust_counts_as_in_recall(store):
    for day, origin in enumerate(("web", "user", "agent")):
        store.remember("the shop opens at nine", timestamp=THEN + timedelta(days=day), origin=origin)
    episodes = store.recall_episodes("when does the shop open?")
    assert [episode.hits[0].record.origin for episode in episodes] == ["user", "agent", "web"]
    parts = [episode.hits[0].explain.parts for episode in episodes]
    assert ["trust" in part for part in parts] == [False, True, True]
    assert [part["trust"] for part in parts[1:]] == [pytest.approx(-0.004), pytest.approx(-0.014)]
    for episode in episodes:
        score = episode.hits[0].score
        assert score == pytest.approx(sum(episode.hits[0].explain.parts.values()))
        assert episode.parts["best"] == pytest.approx(shipped_episode_weights()["best"] * score, rel=1e-4)


class PrefersOvens:
    def __init__(self):
        self.read = []

    def scores(self, query, texts):
        self.read += texts
        return [float("oven" in text) for text in texts]


def test_a_reranker_reads_the_best_of_each_episode(tmp_path, encoder):
    reranker = PrefersOvens()
    settings = RecallSettings(reranker=reranker, rerank_depth=3, rerank_weight=5.0)
    with MemoryStore(tmp_path / "s", encoder, recall_settings=settings) as store:
        told = tell(store)
        episodes = store.recall_episodes("kayak or oven")
        read = [
            number for number, session in enumerate(SESSIONS) for text in reranker.read if text in session
        ]
        assert read == [0, 1, 2]
        assert list(episodes[0].ids) == told[1]
        assert episodes[0].hits[0].explain.parts["reranker"] == 5.0
        assert store.recall("kayak or oven", 1)[0].id == episodes[0].hits[0].id


def test_an_extract_does_not_stand_beside_its_source(store):
    (ids, *_) = tell(store)
    text = SESSIONS[0][0]
    began = int(THEN.timestamp() * 1e6)
    fact = Derived(text, (Quote(ids[0], text),), valid_from=began, made_by=EXTRACT)
    store.lifecycle.apply(Change("key", derived=(fact,)))
    episode = next(one for one in store.recall_episodes("red kayak", hits=10) if ids[0] in one.ids)
    assert [hit.id for hit in episode.hits].count(ids[0]) == 1
    assert [hit.text for hit in episode.hits].count(text) == 1
    assert len(episode.ids) == 4
