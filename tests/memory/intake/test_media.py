"""Images and sounds: kept verbatim, once each, gone when forgotten."""

from __future__ import annotations

import os

import numpy as np
import pytest
from tests.memory.fake_encoder import FakeEncoder, FakeImages, FakeSounds, picture, sound

from arrowmind.errors import InvalidArgumentError, MemoryStoreError
from arrowmind.memory import MemoryStore, StoreSettings
from arrowmind.memory.intake import media


@pytest.fixture
def store(tmp_path):
    engines = {"image_engine": FakeImages(), "audio_engine": FakeSounds()}
    settings = StoreSettings(flush_rows=8, orphan_seconds=0.0)
    with MemoryStore(tmp_path / "store", FakeEncoder(), settings=settings, **engines) as opened:
        yield opened


def blobs(tmp_path):
    return sorted(path.name for path in (tmp_path / "store" / "blobs").iterdir())


def test_bytes_come_back(store, tmp_path):
    file = tmp_path / "bark.wav"
    file.write_bytes(sound("a dog barks"))
    id_ = store.remember("at the gate", image=picture("a dog"), audio=file)
    record = store.get(id_)
    assert record.modalities == ("text", "image", "audio")
    seen, heard = record.attachments
    assert (seen.kind, seen.media_type, seen.size) == ("image", "image/png", len(picture("a dog")))
    assert (heard.kind, heard.media_type) == ("audio", "audio/wav")
    assert store.attachment(seen) == picture("a dog")
    assert store.attachment(heard) == sound("a dog barks")
    assert store.verify().ok
    assert store.stats().spaces == {"text": 1, "image": 1, "audio": 1}
    assert store.stats().modalities == {"text": 1, "image": 1, "audio": 1}


@pytest.mark.parametrize("flushed", [False, True])
def test_an_image_may_speak_for_itself(store, flushed):
    lone = store.remember(image=picture("a dog"))
    worded = store.remember("a dog at the gate")
    if flushed:
        store.flush()
    assert store.get(lone).text == ""
    assert store.get(lone).modalities == ("image",)
    # Without words it has no vector among texts, so that a text cannot be near it.
    assert [hit.id for hit in store.recall("a dog", modality="text")] == [worded]
    assert store.verify().ok


def test_equal_bytes_are_kept_once(store, tmp_path):
    ids = store.remember_many([f"view {i}" for i in range(20)], image=picture("the sea"))
    assert len(blobs(tmp_path)) == 1
    store.forget(ids[:-1])
    store.compact()
    assert len(blobs(tmp_path)) == 1
    assert store.attachment(store.get(ids[-1]).attachments[0]) == picture("the sea")
    store.forget(ids[-1])
    store.compact()
    assert blobs(tmp_path) == []


def test_nothing_of_a_forgotten_image_is_left(store, tmp_path):
    kept = store.remember("kept", image=picture("kept"))
    gone = store.remember("gone", image=picture("secret"), audio=sound("secret"))
    store.flush()
    attachments = store.get(gone).attachments
    assert store.forget(gone) == 1
    assert store.get(gone) is None
    store.compact()
    for path in (tmp_path / "store").rglob("*"):
        assert not path.is_file() or b"secret" not in path.read_bytes(), path
    with pytest.raises(MemoryStoreError, match="cannot be read"):
        store.attachment(attachments[0])
    assert store.stats().spaces == {"text": 1, "image": 1, "audio": 0}
    assert store.get(kept).attachments
    assert store.verify().ok


def test_expired_memories_lose_their_images(store, tmp_path):
    store.remember("now", image=picture("gone"), expires=1)
    store.flush()
    store.compact()
    assert blobs(tmp_path) == []
    assert store.verify().ok


def test_many_at_once_with_given_vectors(store):
    chance = np.random.default_rng(3)
    images = chance.standard_normal((30, 48)).astype(np.float32)
    given = {
        "text": chance.standard_normal((30, 64)).astype(np.float32),
        "image": [row if i % 3 else None for i, row in enumerate(images)],
        "place": chance.standard_normal((30, 5)).astype(np.float32),
    }
    ids = store.remember_many([f"m {i}" for i in range(30)], given)
    assert len(ids) == 30
    assert store.stats().spaces == {"text": 30, "image": 20, "place": 30}
    store.forget(ids[:10])
    assert store.stats().spaces == {"text": 20, "image": 14, "place": 20}
    store.compact()
    assert store.stats().spaces == {"text": 20, "image": 14, "place": 20}
    assert store.verify().ok


def test_spaces_hold_to_their_dimension(store):
    store.remember("a", embeddings={"place": np.ones(5)})
    with pytest.raises(InvalidArgumentError, match="dimension 5 in its space 'place', these have 6"):
        store.remember("b", embeddings={"place": np.ones(6)})
    with pytest.raises(InvalidArgumentError, match="name a space"):
        store.remember("b", embeddings={"../place": np.ones(6)})
    with pytest.raises(InvalidArgumentError, match="not finite"):
        store.remember("b", embeddings={"place": np.full(5, np.nan)})
    assert store.stats().records == 1


def test_another_encoder_of_images_is_refused(store, tmp_path):
    store.remember("a", image=picture("a"))
    other = FakeImages(name="others")
    with MemoryStore(tmp_path / "store", FakeEncoder(), image_engine=other) as second:
        with pytest.raises(MemoryStoreError, match="space 'image' was made with encoder images-48"):
            second.remember("b", image=picture("b"))
        assert second.stats().records == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (b"", "no image of a known format; give one of bmp, gif, jpeg, png, tiff, webp"),
        (b"GIF", "no image"),
        (sound("x"), "no image"),
        (7, "image of text 0 is int; give the bytes"),
        ("/nowhere/at/all.png", "cannot be read"),
        ("nul\0byte.png", "cannot be read"),
        ("/", "cannot be read"),
    ],
)
def test_what_is_no_image(store, given, message):
    with pytest.raises(InvalidArgumentError, match=message):
        store.remember("a", image=given)
    assert store.stats().records == 0


def test_a_huge_file_is_refused_unread(store, tmp_path):
    path = tmp_path / "huge.png"
    path.write_bytes(picture("x"))
    os.truncate(path, media.MAX_MEDIA_BYTES + 1)
    with pytest.raises(InvalidArgumentError, match="more than 268435456"):
        store.remember(image=path)


def test_a_damaged_image_is_noticed(store, tmp_path):
    id_ = store.remember("a", image=picture("abc"))
    (tmp_path / "store" / "blobs" / blobs(tmp_path)[0]).write_bytes(picture("abd"))
    with pytest.raises(MemoryStoreError, match=r"is damaged.*restore"):
        store.attachment(store.get(id_).attachments[0])
    assert any("does not give its name" in p or "is damaged" in p for p in store.verify().problems)


def test_without_an_encoder_the_image_is_kept(tmp_path):
    with MemoryStore(tmp_path / "store", FakeEncoder()) as plain:
        id_ = plain.remember("a", image=picture("x"))
        assert plain.attachment(plain.get(id_).attachments[0]) == picture("x")
        assert plain.stats().spaces == {"text": 1}


def test_neither_words_nor_anything_else(store):
    with pytest.raises(InvalidArgumentError, match="texts\\[0\\] is NoneType"):
        store.remember()
    with pytest.raises(InvalidArgumentError, match="is empty"):
        store.remember("  ")
