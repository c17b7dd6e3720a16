"""Derived memories, tiers, changes and taking them back."""

from __future__ import annotations

import pytest

from arrowmind.errors import MemoryStoreError
from arrowmind.memory import MemoryStore, steps
from arrowmind.memory.keeping.lifecycle import Change, Derived
from arrowmind.memory.storage.lifecycle_tables import ARCHIVED, TIERS, Quote

COLD = TIERS.index("cold")


@pytest.fixture(params=[False, True], ids=["waiting", "in a segment"])
def sources(store, request):
    ids = store.remember_many(["Ann likes green tea", "Ann drinks tea at four", "Bob likes coffee"])
    if request.param:
        store.flush()
    return ids


def fact(sources, text="Ann is a friend of tea", **more):
    return Derived(text, tuple(Quote(id_, "tea") for id_ in sources), **more)


def test_a_change_is_visible_at_once(store, sources):
    ann = sources[:2]
    change = Change("k1", "run", (fact(ann, made_by="extractive"),), dict.fromkeys(ann, ARCHIVED))
    (id_,) = store.lifecycle.apply(change)
    record = store.get(id_)
    assert (record.origin, record.text) == ("derived", "Ann is a friend of tea")
    assert [quote.source for quote in record.derivation.quotes] == ann
    assert record.derivation.made_by == "extractive"
    assert store.recall("Ann tea")[0].id == id_
    # Archived memories are found by their id alone.
    assert not {hit.id for hit in store.recall("Ann green tea")} & set(ann)
    assert store.get(ann[0]).tier == "archived"
    assert store.get(ann[0]).text == "Ann likes green tea"
    assert store.lifecycle.tiers() == {ann[0]: ARCHIVED, ann[1]: ARCHIVED}
    store.flush()
    assert not {hit.id for hit in store.recall("Ann green tea")} & set(ann)
    assert store.verify().ok


def test_made_twice_it_changes_nothing(store, sources):
    change = Change("k1", "run", (fact(sources[:2]),), {sources[0]: COLD})
    first = store.lifecycle.apply(change)
    assert store.lifecycle.apply(change) == first
    assert store.stats().records == 4


def test_taken_back_all_is_as_before(store, sources):
    before = [store.get(id_) for id_ in sources], store.recall("tea")
    old = store.lifecycle.apply(Change("k0", "run", (fact(sources[:1], "Ann likes tea"),)))[0]
    new = Derived("Ann hates tea", (Quote(sources[1], "tea"),), replaces=(old,))
    change = Change("k1", "run", (new,), {sources[0]: COLD, sources[1]: ARCHIVED}, {old: 123})
    (id_,) = store.lifecycle.apply(change)
    assert store.get(old).derivation.valid_to == 123
    assert store.get(old).derivation.replaced_by == (id_,)
    assert store.lifecycle.open_facts([old, id_, sources[0]]) == {id_: 0}
    assert store.lifecycle.undo(["k1"]) == 1
    assert store.get(id_) is None
    assert store.get(old).derivation.valid_to == 0
    assert store.lifecycle.undo(["k0", "k1", "k2"]) == 1
    after = [store.get(id_) for id_ in sources], store.recall("tea")
    assert [r.to_dict() | {"access_count": 0, "last_access": None} for r in after[0]] == [
        r.to_dict() | {"access_count": 0, "last_access": None} for r in before[0]
    ]
    assert [hit.id for hit in after[1]] == [hit.id for hit in before[1]]
    assert store.lifecycle.tiers() == {}
    store.compact()
    with store._catalogue.reading() as db:
        for table in ("change", "derivation", "quote", "closing", "tier", "tier_move"):
            assert db.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table
    assert store.verify().ok


def test_forgetting_takes_along_what_was_derived(store, sources, tmp_path):
    (first,) = store.lifecycle.apply(Change("k1", "run", (fact(sources[:2], "zebra crossing"),)))
    (second,) = store.lifecycle.apply(Change("k2", "run", (fact([first], "zebra squared"),)))
    (other,) = store.lifecycle.apply(Change("k3", "run", (fact(sources[2:], "Bob wakes up"),)))
    assert store.forget(sources[0]) == 3
    assert [store.get(id_) for id_ in (sources[0], first, second)] == [None] * 3
    assert store.get(other) is not None
    store.compact()
    for path in (tmp_path / "store").rglob("*"):
        assert not path.is_file() or b"zebra" not in path.read_bytes(), path


def test_what_was_contradicted_holds_again_when_that_is_forgotten(store, sources):
    (old,) = store.lifecycle.apply(Change("k1", "run", (fact(sources[:1]),)))
    new = Derived("no tea", (Quote(sources[1], "tea"),), replaces=(old,))
    store.lifecycle.apply(Change("k2", "run", (new,), closings={old: 77}))
    assert store.get(old).derivation.valid_to == 77
    store.forget(sources[1])
    assert store.get(old).derivation.valid_to == 0


def test_expiry_takes_along_what_was_derived(store, tmp_path):
    gone = store.remember("a secret tea", expires=1)
    store.flush()
    with pytest.raises(MemoryStoreError, match="forgotten meanwhile"):
        store.lifecycle.apply(Change("k0", "run", (fact([gone + 9]),)))
    (id_,) = store.lifecycle.apply(Change("k1", "run", (fact([gone], "the secret"),)))
    store.compact()
    assert store.get(id_) is None
    for path in (tmp_path / "store").rglob("*"):
        assert not path.is_file() or b"secret" not in path.read_bytes(), path


@pytest.mark.parametrize("step", ["change.before_commit", "undo.before_commit"])
def test_a_death_in_the_middle(store, sources, tmp_path, encoder, step):
    change = Change("k1", "run", (fact(sources[:2]),), {sources[0]: COLD})
    if step.startswith("undo"):
        store.lifecycle.apply(change)

    def die(reached):
        if reached == step:
            raise KeyboardInterrupt

    steps.set_hook(die)
    try:
        with pytest.raises(KeyboardInterrupt):
            store.lifecycle.undo(["k1"]) if step.startswith("undo") else store.lifecycle.apply(change)
    finally:
        steps.set_hook(None)
    with MemoryStore(tmp_path / "store", encoder) as again:
        made = step.startswith("undo")
        assert again.stats().records == (4 if made else 3)
        assert again.lifecycle.tiers() == ({sources[0]: COLD} if made else {})
        assert len(again.lifecycle.apply(change)) == 1
        assert again.stats().records == 4
        assert again.verify().ok
