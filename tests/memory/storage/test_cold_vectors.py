"""Vectors of cold memories: kept, left out, estimated and made again."""

from __future__ import annotations

import numpy as np
import pytest
from tests.memory.fake_encoder import FakeEncoder, FakeImages, FakeSounds, picture, sound
from tests.memory.storage.cold_stores import COUNT, cool, files, states, texts_of, vectors, vectors_of

from arrowmind.errors import InvalidArgumentError
from arrowmind.memory import MemoryStore, Settlement
from arrowmind.memory.storage.cold_content import NUMBERS
from arrowmind.memory.storage.cold_rows import ColdRows
from arrowmind.memory.storage.vectors import estimated_cosines, estimated_vectors, quantise, sign_codes


def test_undone_they_have_their_vectors_again(filled):
    store, ids = filled
    before, codes = states(store, ids), vectors(store)
    cool(store, ids[:250])
    assert vectors(store) != codes
    store.lifecycle.undo(["cool"])
    assert store.settle().thawed == 250
    assert files(store, "*.cold.arrow") == []
    assert vectors(store) == codes
    assert states(store, ids) == before
    assert store.verify().problems == []


def test_estimates_lie_near_the_cosines(rng):
    wide = rng.standard_normal((2000, 384)).astype(np.float32)
    wide /= np.linalg.norm(wide, axis=1, keepdims=True)
    signs = sign_codes(quantise(wide)[0])
    query = (wide[0] + wide[1]) / np.linalg.norm(wide[0] + wide[1])
    errors = estimated_cosines(signs, query) - wide @ query
    assert abs(errors.mean()) < 0.005
    assert errors.std() < np.sqrt((np.pi / 2 - 1) / 384) * 1.15
    again = estimated_vectors(signs, 384)
    assert np.allclose(np.linalg.norm(again, axis=1), 1, atol=1e-3)
    assert np.einsum("ij,ij->i", again, wide).mean() == pytest.approx(np.sqrt(2 / np.pi), abs=0.01)


def test_vectors_that_were_given_come_back_as_they_were(tmp_path, rng):
    given = rng.standard_normal((150, 128)).astype(np.float32)
    given[7] = 0
    with MemoryStore(tmp_path / "s", FakeEncoder(128)) as store:
        strange = store.remember_many(texts_of(150), given)
        own = store.remember_many(texts_of(40))
        before, codes = states(store, [*strange, *own]), vectors_of(store, "text")
        assert cool(store, [*strange, *own]).frozen == 190
        (block, _) = store._sessions.current.snapshot().blocks
        assert block.rows.has_vector.sum() == 150  # those of the encoder are left out
        assert store.verify().problems == []
        assert states(store, [*strange, *own]) == before
        assert vectors_of(store, "text") == codes
        query = given[33] / np.linalg.norm(given[33])
        hit = store.recall(embedding=query, top_k=1)[0]
        assert (hit.id, round(hit.explain.vector.cosine, 3)) == (strange[33], 1.0)
        found = {hit.id: hit for hit in store.recall(embedding=query, top_k=190)}
        assert found[strange[7]].explain.vector.cosine == 0  # a vector of zeros resembles nothing
        store.lifecycle.undo(["cool"])
    with MemoryStore(tmp_path / "s") as store:  # what is in the file needs no encoder
        settled = store.settle()
        assert (settled.thawed, settled.waiting) == (150, 40)
        assert store.verify().problems == []
    with MemoryStore(tmp_path / "s", FakeEncoder(128)) as store:
        assert vectors_of(store, "text") == codes
        assert store.settle().thawed == 40
        assert files(store, "*.cold.arrow") == []
        assert vectors_of(store, "text") == codes


def test_without_an_engine_vectors_go_along(filled):
    store, ids = filled
    codes, before = vectors(store), states(store, ids)
    with MemoryStore(store._paths.root) as other:
        assert cool(other, ids).frozen == COUNT
        assert other.settle() == Settlement(0, 0, 0)
        assert other.verify().problems == []
        assert other.recall("topic7 memory 30", 1)[0].id == ids[30]
        other.lifecycle.undo(["cool"])
        assert other.settle() == Settlement(0, COUNT, 0)
    assert vectors(store) == codes
    assert states(store, ids) == before


def test_the_engine_takes_out_what_it_makes_again(filled):
    store, ids = filled
    codes = vectors_of(store, "text")
    with MemoryStore(store._paths.root) as other:
        cool(other, ids)
    (path,) = files(store, "*.cold.arrow")
    size = path.stat().st_size
    assert store.settle() == Settlement(0, 0, 0)
    (path,) = files(store, "*.cold.arrow")
    assert path.stat().st_size < size - 100 * COUNT
    assert vectors_of(store, "text") == codes
    assert store.settle() == Settlement(0, 0, 0)
    assert files(store, "*.cold.arrow") == [path]  # it is not tried again and again


def test_an_encoder_tries_given_vectors_once(tmp_path, rng):
    with MemoryStore(tmp_path / "s") as store:
        ids = store.remember_many(texts_of(40), rng.standard_normal((40, 128)))
        assert cool(store, ids).frozen == 40
    encoder = FakeEncoder(128)
    with MemoryStore(tmp_path / "s", encoder) as store:
        store.settle()
        calls = encoder.calls
        assert calls > 0
        store.settle()
        assert encoder.calls == calls


def test_what_waits_for_its_encoder_is_found_meanwhile(filled, caplog):
    store, ids = filled
    cool(store, ids)
    with MemoryStore(store._paths.root) as other:
        other.lifecycle.undo(["cool"])
        assert other.settle() == Settlement(0, 0, COUNT)
        assert other.get(ids[3]).tier == "hot"
        assert states(other, ids) == states(store, ids)
        query = FakeEncoder(128).encode([texts_of()[30]])[0]
        assert other.recall(embedding=query, top_k=1)[0].id == ids[30]
    assert store.settle() == Settlement(0, COUNT, 0)


def test_pictures_and_sounds_become_cold_with_their_vectors(tmp_path):
    engines = {"image_engine": FakeImages(48), "audio_engine": FakeSounds(32)}
    with MemoryStore(tmp_path / "s", FakeEncoder(64), **engines) as store:
        both = store.remember("a red boat", image=picture("red boat"))
        alone = store.remember(image=picture("blue house"))
        heard = store.remember("a bell", audio=sound("bell rings"))
        more = [store.remember(image=picture(f"thing {n}")) for n in range(80)]
        store.flush()
        before, codes = states(store, [both, alone, heard]), vectors_of(store, "image")
        assert cool(store, [both, alone, heard, *more]).frozen == 83
        assert len(files(store, "*.cold.arrow")) == len(files(store, "*")) == 3
        assert states(store, [both, alone, heard]) == before
        assert vectors_of(store, "image") == codes
        assert store.recall(image=picture("red boat"), top_k=1)[0].id == both
        assert store.recall(image=picture("thing 17"), top_k=1)[0].id == more[17]
        assert store.recall(audio=sound("bell rings"), top_k=1)[0].id == heard
        assert store.recall("red boat", 1)[0].id == both
        assert store.verify().problems == []
        exported = store.export(tmp_path / "export")
        assert exported.vectors == {"text": 83, "image": 82, "audio": 1}
        store.erase(alone)
        store.forget(more[:60])
        assert store.verify().problems == []
        assert store.recall(image=picture("thing 70"), top_k=1)[0].id == more[70]
    with MemoryStore(tmp_path / "s") as store:
        store.lifecycle.undo(["cool"])
        assert store.settle() == Settlement(0, 20, 2)
        left = [both, heard, *more[60:]]
        assert vectors_of(store, "image") == {k: v for k, v in codes.items() if k[0] in left}
        assert len(files(store, "*.cold.arrow")) == 1  # texts that wait for their encoder
        assert store.verify().problems == []


def test_exported_without_an_engine_they_are_encoded_again(filled, tmp_path):
    store, ids = filled
    cool(store, ids[:200])
    with MemoryStore(store._paths.root) as other:
        assert other.export(tmp_path / "export").vectors["text"] < COUNT
    with MemoryStore(tmp_path / "none") as new, pytest.raises(InvalidArgumentError, match="with its engine"):
        new.import_from(tmp_path / "export")
    with MemoryStore(tmp_path / "new", FakeEncoder(128)) as new:
        assert new.import_from(tmp_path / "export") == COUNT
        assert texts_of()[7] in [hit.text for hit in new.recall(texts_of()[7], 3)]


def test_cold_rows_hold_what_was_stored(filled):
    store, ids = filled
    expected = {
        int(block.rows.ids[row]): block.rows.content(row)
        for block in store._sessions.current.snapshot().blocks
        for row in block.rows.first_rows.tolist()
    }
    cool(store, ids)
    (rows, waiting) = (block.rows for block in store._sessions.current.snapshot().blocks)
    assert isinstance(rows, ColdRows)
    assert len(waiting) == 0
    assert {int(rows.ids[row]): rows.content(row) for row in rows.first_rows.tolist()} == expected
    assert "windows" in NUMBERS
