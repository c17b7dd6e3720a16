"""Recall of episodes: sessions of a conversation, found as wholes."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import pytest

from arrowmind.errors import InvalidArgumentError
from arrowmind.memory import MemoryStore, RecallSettings

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
