"""Groups: near in meaning and time, of one namespace, each memory once, work bounded."""

from __future__ import annotations

import numpy as np
import pytest
from tests.consolidate.samples import DAY, START, exact_nearest, memory

from arrowmind.consolidate import SourceMemory
from arrowmind.consolidate.candidates import Grouping, group


def ids(groups):
    return [[one.id for one in members] for members in groups]


def topics(rng, count, topics, dimension=32, noise=0.35):
    """Memories around centres, in random order of time."""
    centres = rng.standard_normal((topics, dimension))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    found = []
    for id_ in range(1, count + 1):
        vector = centres[id_ % topics] + noise * rng.standard_normal(dimension) / np.sqrt(dimension)
        vector = (vector / np.linalg.norm(vector)).astype(np.float32)
        found.append(SourceMemory(id_, f"text {id_}", vector, START + int(rng.integers(0, 400)) * DAY))
    return found


def test_topics_are_found(rng):
    found = topics(rng, 120, 6)
    groups = group(found, exact_nearest(found), Grouping(cosine=0.6, most=50))
    assert len(groups) == 6
    assert all(len({id_ % 6 for id_ in members}) == 1 for members in ids(groups))


def test_each_memory_is_in_one_group_and_groups_have_their_size(rng):
    found = topics(rng, 500, 7)
    groups = group(found, exact_nearest(found), Grouping(cosine=0.5, least=3, most=10))
    flat = [id_ for members in ids(groups) for id_ in members]
    assert len(flat) == len(set(flat))
    assert all(3 <= len(members) <= 10 for members in groups)
    for members in groups:
        moments = [one.timestamp for one in members]
        assert moments == sorted(moments)


def test_near_in_time_is_enough_of_the_same_talk():
    talk = [
        memory(1, "shall we go to the sea this summer"),
        memory(2, "yes the sea sounds good", day=0.001),
        memory(3, "or to the sea next summer", day=0.002),
        memory(4, "the sea again", day=40),
    ]
    groups = group(talk, exact_nearest(talk), Grouping(cosine=0.95, cosine_in_time=0.1))
    assert ids(groups) == [[1, 2, 3]]


def test_namespaces_are_never_mixed(rng):
    found = [
        SourceMemory(one.id, one.text, one.vector, one.timestamp, namespace=f"n{one.id % 2}")
        for one in topics(rng, 60, 1)
    ]
    groups = group(found, exact_nearest(found), Grouping(cosine=0.3, most=40))
    assert groups
    assert all(len({one.namespace for one in members}) == 1 for members in groups)


def test_few_or_no_memories():
    assert group([], lambda *_: [], Grouping()) == []
    two = [memory(1, "a cat"), memory(2, "a cat")]
    assert group(two, exact_nearest(two), Grouping(least=3)) == []
    bare = [SourceMemory(i, "a cat", None, START) for i in range(1, 9)]
    assert group(bare, lambda *_: pytest.fail("no vector to look for"), Grouping()) == []


def test_work_is_one_scan_for_each_memory_at_most(rng):
    found = topics(rng, 300, 5)
    scan, calls = exact_nearest(found), []

    def counted(vector, count):
        calls.append(count)
        return scan(vector, count)

    group(found, counted, Grouping(cosine=0.9999))
    assert len(calls) <= len(found)
    assert set(calls) == {64}
    calls.clear()
    group(found, counted, Grouping(cosine=0.3, max_groups=2))
    assert len(calls) == 2


def test_ids_that_the_scan_knows_and_we_do_not_are_passed_over():
    two = [memory(i, "a cat") for i in range(1, 4)]
    assert ids(group(two, lambda *_: [(99, 1.0), (1, 1.0), (2, 1.0), (3, 1.0)], Grouping())) == [[1, 2, 3]]
