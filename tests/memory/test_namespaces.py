"""Namespaces, origins and trust."""

from __future__ import annotations

import pytest

from arrowmind.errors import InvalidArgumentError
from arrowmind.memory import MemoryStore


@pytest.mark.parametrize("flushed", [False, True])
def test_a_confined_store_sees_its_own_alone(tmp_path, encoder, flushed):
    path = tmp_path / "s"
    with (
        MemoryStore(path, encoder, namespace="ann") as ann,
        MemoryStore(path, encoder, namespace="bob") as bob,
        MemoryStore(path, encoder) as whole,
    ):
        mine, theirs = ann.remember("the key lies here"), bob.remember("the key lies there")
        common = whole.remember("the key is lost")
        if flushed:
            whole.flush()
        assert [hit.id for hit in ann.recall("key")] == [mine]
        assert [hit.id for hit in bob.recall("key")] == [theirs]
        assert {hit.id for hit in whole.recall("key")} == {mine, theirs, common}
        assert [hit.id for hit in whole.recall("key", namespace="bob")] == [theirs]
        assert whole.recall("key", namespace="nobody") == []
        assert ann.get(theirs) is None
        assert ann.get(mine).namespace == "ann"
        assert ann.forget([theirs, common]) == 0
        assert bob.forget(theirs) == 1
        assert whole.stats().namespaces == {"default": 1, "ann": 1}


def test_another_namespace_is_refused(tmp_path, encoder):
    with MemoryStore(tmp_path / "s", encoder, namespace="ann") as ann:
        for use in (lambda: ann.remember("x", namespace="bob"), lambda: ann.recall("x", namespace="bob")):
            with pytest.raises(InvalidArgumentError, match="opened for 'ann' alone"):
                use()
        assert ann.remember("x", namespace="ann") == 1
        assert MemoryStore(tmp_path / "s", encoder, namespace="eve").forget(1) == 0


def test_who_says_it(store):
    ids = store.remember_many(["a b", "c d", "e f"], origin=["user", "web", "tool"], trust=[None, None, 0.25])
    store.flush()
    found = [(store.get(id_).origin, store.get(id_).trust) for id_ in ids]
    assert found == [("user", 1.0), ("web", 0.3), ("tool", 0.25)]


@pytest.mark.parametrize(
    ("about", "message"),
    [
        ({"origin": "god"}, "origin='god': give one of user, agent, tool, web, derived"),
        ({"trust": 2}, "trust=2: give a number from 0 to 1"),
        ({"trust": float("nan")}, "trust=nan"),
        ({"namespace": ""}, "namespace=''"),
        ({"namespace": "x" * 300}, "give a string of 1 to 256"),
    ],
)
def test_what_is_refused(store, about, message):
    with pytest.raises(InvalidArgumentError, match=message):
        store.remember("x", **about)
    assert store.stats().records == 0


def test_modalities_are_a_filter(store):
    with pytest.raises(InvalidArgumentError, match="modality='smell': give one of text, image, audio"):
        store.recall("x", modality="smell")
