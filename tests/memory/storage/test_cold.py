"""Cold memories: in compressed files, without vectors, searched all the same, and back as they were."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from tests.memory.fake_encoder import FakeEncoder, FakeImages, FakeSounds, picture, sound

from arrowmind.errors import InvalidArgumentError, MemoryStoreError
from arrowmind.memory import MemoryStore, Settlement, StoreSettings, steps
from arrowmind.memory.keeping.lifecycle import Change, Derived
from arrowmind.memory.storage.cold_content import NUMBERS
from arrowmind.memory.storage.cold_rows import ColdRows
from arrowmind.memory.storage.lifecycle_tables import COLD, WARM, Quote
from arrowmind.memory.storage.vectors import estimated_cosines, estimated_vectors, quantise, sign_codes
from arrowmind.privacy import find_bytes

COUNT = 300


def texts_of(count=COUNT):
    long = " ".join(f"page{n}" for n in range(700))  # three windows
    return [f"memory {i} tells of topic{i % 23} \u732b" + (long if i % 97 == 5 else "") for i in range(count)]


@pytest.fixture
def filled(tmp_path):
    with MemoryStore(tmp_path / "store", FakeEncoder(128)) as store:
        ids = store.remember_many(
            texts_of(),
            metadata=[{"n": i} if i % 3 else None for i in range(COUNT)],
            category=["a" if i % 2 else None for i in range(COUNT)],
            expires=[4_000_000_000 if i % 5 == 0 else None for i in range(COUNT)],
            namespace=["default" if i % 4 else "other" for i in range(COUNT)],
        )
        store.flush()
        yield store, ids


def cool(store, ids, key="cool", tier=COLD):
    store.lifecycle.apply(Change(key, tiers=dict.fromkeys(ids, tier)))
    return store.settle()


def files(store, pattern):
    return sorted((store._paths.segments).glob(pattern))


def states(store, ids):
    return [
        None
        if (r := store.get(i)) is None
        else r.to_dict() | {"tier": 0, "access_count": 0, "last_access": 0}
        for i in ids
    ]


def vectors(store):
    home = store._sessions.current.snapshot().home
    return {
        (int(i), int(w)): code.tobytes()
        for block in home.blocks
        for i, w, code in zip(block.rows.ids, block.rows.windows, block.rows.codes, strict=False)
    }


def test_memories_move_to_a_cold_file_and_are_as_before(filled):
    store, ids = filled
    before, size = states(store, ids), sum(path.stat().st_size for path in files(store, "*"))
    moved = cool(store, ids[:200])
    assert (moved.frozen, moved.thawed) == (200, 0)
    assert len(files(store, "*.cold.arrow")) == 1
    assert sum(path.stat().st_size for path in files(store, "*")) < size * 0.6
    assert states(store, ids) == before
    assert store.get(ids[0]).tier == "cold"
    assert store.verify().problems == []
    assert store.stats().records == COUNT
    assert store.settle().frozen == 0
    assert [record.id for record in store.newest(COUNT)] == ids[::-1]


def test_cold_memories_are_found(filled):
    store, ids = filled
    cool(store, ids)
    for place in (0, 5, 150, 299):
        hits = store.recall(texts_of()[place], 5)
        assert hits[0].id == ids[place]
        assert hits[0].explain.vector.cosine == pytest.approx(1.0, abs=0.02)
    assert {hit.record.category for hit in store.recall("topic7", 5, category="a")} == {"a"}
    assert {hit.record.namespace for hit in store.recall("topic8", 5, namespace="other")} == {"other"}
    with MemoryStore(store._paths.root) as by_words:
        assert by_words.recall("memory 150 topic12", 1)[0].id == ids[150]


def test_many_rows_are_chosen_by_codes(filled):
    from arrowmind.memory import RecallSettings

    store, ids = filled
    cool(store, ids[::2])
    settings = RecallSettings(full_scan_rows=10)
    with MemoryStore(store._paths.root, FakeEncoder(128), recall_settings=settings) as other:
        assert [other.recall(texts_of()[place], 1)[0].id for place in (0, 5, 151)] == [
            ids[0],
            ids[5],
            ids[151],
        ]


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


def vectors_of(store, name):
    """Codes and scales by memory and window in a space, as an export has them."""
    found = {}
    for block in store._sessions.current.snapshot().space(name).blocks:
        rows = block.rows
        codes, scales = rows.stored_vectors(np.arange(len(rows)))
        for place in range(len(rows)):
            key = int(rows.ids[place]), int(rows.windows[place])
            found[key] = codes[place].tobytes(), float(scales[place])
    return found


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


def test_a_damaged_segment_does_not_become_cold(filled):
    store, ids = filled
    store.lifecycle.apply(Change("cool", tiers=dict.fromkeys(ids, COLD)))
    (path,) = files(store, "*.arrow")
    codes = np.concatenate([block.rows.codes for block in store._sessions.current.snapshot().blocks])
    whole = path.read_bytes()
    place = whole.index(codes[5].tobytes())
    path.unlink()
    path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    with MemoryStore(store._paths.root) as other, pytest.raises(MemoryStoreError, match="restore the store"):
        other.settle()
    assert files(store, "*.arrow") == [path]


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


def test_cold_files_of_version_2(tmp_path):
    with zipfile.ZipFile(Path(__file__).parents[1] / "data" / "store-cold-v2.zip") as archive:
        archive.extractall(tmp_path / "s")
    with MemoryStore(tmp_path / "s", FakeEncoder(64)) as store:
        assert store.verify().problems == []
        assert [store.get(id_).metadata["n"] for id_ in range(1, 7)] == list(range(6))
        assert {store.get(id_).tier for id_ in range(1, 5)} == {"cold"}
        assert store.recall("cold thing number 2 of topic2", 1)[0].id == 3
        assert cool(store, [5, 6], "more").frozen == 2
        assert len(files(store, "*.cold.arrow")) == 1
        store.lifecycle.undo(["more", "cool"])
        assert store.settle() == Settlement(0, 6, 0)
        assert store.verify().problems == []


def test_forgotten_no_byte_is_left_in_cold_files(filled):
    store, ids = filled
    cool(store, ids)
    text = texts_of()[17]
    assert [place.file for place in find_bytes(store._paths.segments, [text.encode()]).places] != []
    receipt = store.erase(ids[17])
    assert receipt.ids == (ids[17],)
    assert not find_bytes(store._paths.root / "segments", [text.encode()]).places
    assert store.get(ids[17]) is None
    assert store.get(ids[18]) is not None
    assert store.verify().problems == []
    store.forget(ids[:200])
    assert store.stats().records == 100
    assert len(store.recall("topic3", 50)) > 0
    store.forget(ids)
    store.compact()
    assert files(store, "*") == []


def test_forgotten_while_they_are_moved(filled):
    store, ids = filled
    store.lifecycle.apply(Change("cool", tiers=dict.fromkeys(ids[:200], COLD)))

    def forget(step):
        if step == "cold.published":
            steps.set_hook(None)
            with MemoryStore(store._paths.root) as other:
                other.forget([ids[3], ids[250]])

    steps.set_hook(forget)
    try:
        store.settle()
    finally:
        steps.set_hook(None)
    assert store.get(ids[3]) is None
    assert store.get(ids[250]) is None
    assert store.stats().records == COUNT - 2
    assert store.verify().problems == []
    store.compact()
    assert store.stats().forgotten == 0
    assert not find_bytes(store._paths.segments, [texts_of()[3].encode()]).places


def test_copies_hold_cold_memories(filled, tmp_path):
    store, ids = filled
    codes = vectors(store)
    cool(store, ids[:200])
    store.backup(tmp_path / "copy")
    with MemoryStore(tmp_path / "copy", FakeEncoder(128)) as copy:
        assert states(copy, ids) == states(store, ids)
        assert copy.verify().problems == []
    exported = store.export(tmp_path / "export")
    assert exported.vectors == {"text": len(codes)}
    with MemoryStore(tmp_path / "new") as new:
        assert new.import_from(tmp_path / "export") == COUNT
        new.flush()
        assert sorted(vectors(new).values()) == sorted(codes.values())
        assert new.get(1).tier == "cold"


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


def test_cold_files_are_put_together(tmp_path):
    settings = StoreSettings(flush_rows=20, batch_rows=64, merge_count=3, orphan_seconds=0.0)
    with MemoryStore(tmp_path / "s", FakeEncoder(64), settings=settings) as store:
        ids = []
        for number in range(6):
            ids += store.remember_many([f"round {number} {i}" for i in range(25)])
            cool(store, ids[-10:], f"cool {number}")
        assert 1 <= len(files(store, "*.cold.arrow")) <= 2
        assert store.verify().problems == []
        assert {store.get(id_).tier for id_ in ids} == {"hot", "cold"}
        cool(store, ids, "warm", WARM)
        assert files(store, "*.cold.arrow") == []


def test_recalled_they_are_named(filled):
    store, ids = filled
    store.recall(texts_of()[4], 1)
    cool(store, ids[:200])
    store.recall(texts_of()[7], 1)
    store._sessions.current.accesses.write(1.0)
    assert store.lifecycle.recalled_cold() == [ids[7]]


def test_every_flipped_bit_is_told_or_harmless(filled, rng):
    store, ids = filled
    cool(store, ids)
    (path,) = files(store, "*.cold.arrow")
    whole, before = path.read_bytes(), states(store, ids)
    for place in rng.integers(0, 8 * len(whole), 60).tolist():
        flipped = bytearray(whole)
        flipped[place // 8] ^= 1 << place % 8
        path.unlink()
        path.write_bytes(flipped)
        with MemoryStore(store._paths.root) as other:
            problems = other.verify().problems
            assert problems, f"bit {place}"
            assert all("cold" in problem for problem in problems)
    path.write_bytes(whole)
    with MemoryStore(store._paths.root) as other:
        assert states(other, ids) == before


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


def test_an_extract_gives_way_to_what_it_quotes(tmp_path):
    with MemoryStore(tmp_path / "s", FakeEncoder(64)) as store:
        said = store.remember("the blue key lies under the pot")
        fact = Derived("the blue key lies under the pot", (Quote(said, "blue key"),), made_by="extractive")
        (derived,) = store.lifecycle.apply(Change("c", derived=(fact,)))
        assert [hit.id for hit in store.recall("blue key", 5)] == [said]
        told = Derived("somebody hid a blue key", (Quote(said, "blue key"),), made_by="model")
        (more,) = store.lifecycle.apply(Change("m", derived=(told,)))
        assert {hit.id for hit in store.recall("blue key", 5)} == {said, more}
        store.lifecycle.apply(Change("away", tiers={said: 3}))
        assert {hit.id for hit in store.recall("blue key", 5)} == {derived, more}
