"""A store learns how kinds of content go together, and finds across them."""

from __future__ import annotations

import numpy as np
import pytest
from tests.joint.test_joint import latent_rows

from arrowmind.errors import MemoryStoreError
from arrowmind.joint import JOINT_DIMENSION
from arrowmind.memory import MemoryStore, StoreSettings

PAIRS, ALONE = 250, 60


def vectors_of(rows, only=None):
    return {
        kind: [row if only in (None, kind) else None for row in values]
        for kind, values in rows.vectors.items()
    }


@pytest.fixture
def store(tmp_path):
    """Memories with all three kinds, and then such with one kind each of the same things."""
    with MemoryStore(tmp_path / "s", settings=StoreSettings(flush_rows=100)) as opened:
        opened.remember_many([f"m{i}" for i in range(PAIRS)], vectors_of(latent_rows(PAIRS, 1)))
        yield opened


def remember_alone(store, rows, kind):
    given = vectors_of(rows, kind)
    given["text"] = given["text"] if kind == "text" else np.zeros((len(rows), 384), np.float32)
    return store.remember_many([f"{kind} {i}" for i in range(len(rows))], given)


def test_one_kind_finds_another_that_is_alone(store):
    things = latent_rows(ALONE, 2)
    sounds = remember_alone(store, things, "audio")

    def found():
        hits = (store.recall(embedding={"image": image}, top_k=10) for image in things.vectors["image"])
        return sum(id_ in [hit.id for hit in row] for id_, row in zip(sounds, hits, strict=True)) / ALONE

    assert found() < 0.3
    report = store.align()
    assert report.memories == PAIRS
    assert {(source, target) for source, target, _, _ in report.maps} >= {
        ("image", "audio"),
        ("audio", "image"),
    }
    share = found()
    print("found across after aligning:", share)
    assert share > 0.9


def test_a_hit_tells_what_was_mapped(store):
    store.align()
    row = latent_rows(PAIRS, 1).vectors["audio"][7]
    hit = store.recall(embedding={"audio": row}, top_k=1)[0]
    assert hit.text == "m7"
    assert {match.space for match in hit.explain.spaces} == {"audio", "image", "text"}


def test_joint_vectors(store, tmp_path):
    before = store.joint([1, 2, 999])
    assert before.shape == (3, JOINT_DIMENSION)
    assert not before[2].any()
    np.testing.assert_allclose(np.linalg.norm(before[:2], axis=1), 1, atol=1e-5)
    store.align()
    after = store.joint([1, 2])
    assert not np.allclose(after, before[:2])
    with MemoryStore(tmp_path / "s") as again:
        np.testing.assert_array_equal(again.joint([1, 2]), after)
        again.align()
        np.testing.assert_array_equal(again.joint([1, 2]), after)
        assert len(list((tmp_path / "s" / "joint").iterdir())) == 1


def test_a_store_of_texts_alone(tmp_path):
    with MemoryStore(tmp_path / "t") as store:
        assert store.align().maps == ()
        store.remember_many(["a", "b"], np.eye(2, 9))
        assert store.align().memories == 0
        assert store.joint([1]).shape == (1, JOINT_DIMENSION)
        assert store.recall(embedding=np.eye(9)[1])[0].text == "b"


def test_a_damaged_alignment(store, tmp_path):
    store.align()
    path = next((tmp_path / "s" / "joint").iterdir())
    path.write_bytes(path.read_bytes()[:-50])
    with MemoryStore(tmp_path / "s") as again:
        with pytest.raises(MemoryStoreError, match="align again"):
            again.recall("m1")
        again.align()
        assert again.recall("m1")


def test_a_backup_takes_the_maps_along(store, tmp_path):
    store.align()
    row = latent_rows(PAIRS, 1).vectors["audio"][7]
    store.backup(tmp_path / "copy")
    with MemoryStore(tmp_path / "copy") as copy:
        assert copy.recall(embedding={"audio": row}, top_k=1)[0].text == "m7"
