"""Recall by images and sounds, and of images by words."""

from __future__ import annotations

import numpy as np
import pytest
from tests.memory.fake_encoder import FakeEncoder, FakeImages, FakeSounds, picture, sound

from arrowmind.errors import InvalidArgumentError
from arrowmind.memory import MemoryStore, RecallSettings, StoreSettings
from arrowmind.memory.searching.calibration import Baseline, baseline, baselines
from arrowmind.memory.searching.fusion import Candidate
from arrowmind.memory.storage.links import add_links
from arrowmind.memory.times import now_microseconds

ANIMALS = ["dog", "cat", "horse", "crow", "whale", "newt", "hen", "bee", "fox", "owl", "yak", "eel"]
ENGINES = {"image_engine": FakeImages(), "audio_engine": FakeSounds()}


@pytest.fixture(params=[0, 4, 10**6], ids=["segments", "both", "waiting"])
def store(tmp_path, request):
    """Each animal with its picture and voice; the words do not name it."""
    settings = StoreSettings(flush_rows=max(request.param, 1))
    with MemoryStore(tmp_path / "s", FakeEncoder(), settings=settings, **ENGINES) as opened:
        for number, animal in enumerate(ANIMALS):
            voice = sound(f"voice of a {animal}")
            opened.remember(f"seen on day{number}", image=picture(f"one {animal}"), audio=voice)
        yield opened


@pytest.mark.parametrize("number", range(len(ANIMALS)))
def test_an_image_finds_what_was_stored_with_it(store, number):
    hit = store.recall(image=picture(f"one {ANIMALS[number]}"), top_k=3)[0]
    assert hit.text == f"seen on day{number}"
    assert store.attachment(hit.record.attachments[1]) == sound(f"voice of a {ANIMALS[number]}")
    hit = store.recall(audio=sound(f"voice of a {ANIMALS[number]}"), top_k=3)[0]
    assert hit.text == f"seen on day{number}"


def test_words_find_images_in_the_space_of_images(store):
    best = store.recall("whale")[0]
    assert best.text == "seen on day4"
    (match,) = best.explain.spaces
    assert (match.part, match.space, match.rank) == ("text", "image", 1)
    assert best.score == pytest.approx(sum(best.explain.parts.values()))
    assert 0 < match.share <= 1


def test_all_parts_of_a_query_count(store):
    ids = store.remember_many(["a red house", "a red house"], image=[picture("one boat"), picture("one car")])
    hits = store.recall("a red house", image=picture("one car"))
    assert [hit.id for hit in hits[:2]] == [ids[1], ids[0]]
    assert {match.part for match in hits[0].explain.spaces} == {"text", "image"}


def test_only_of_a_modality(store):
    lone = store.remember("a dog without a picture")
    assert store.recall("a dog without", 1)[0].id == lone
    hits = store.recall("dog", modality="image")
    assert lone not in [hit.id for hit in hits]
    assert hits[0].text == "seen on day0"


def test_ranks_instead_of_scores(store, tmp_path):
    settings = RecallSettings(fusion="rank")
    with MemoryStore(tmp_path / "s", FakeEncoder(), recall_settings=settings, **ENGINES) as ranked:
        assert ranked.recall(image=picture("one fox"))[0].text == "seen on day8"


def test_forgotten_images_are_found_no_more(store):
    best = store.recall(image=picture("one bee"))[0]
    store.forget(best.id)
    assert best.id not in [hit.id for hit in store.recall(image=picture("one bee"), top_k=20)]


def test_vectors_of_a_space_of_the_caller(store):
    chance = np.random.default_rng(5)
    places = chance.standard_normal((20, 6)).astype(np.float32)
    ids = store.remember_many([f"p{i}" for i in range(20)], {"text": np.eye(20, 64), "place": places})
    found = [store.recall(embedding={"place": place}, top_k=1)[0].id for place in places]
    assert found == ids
    with pytest.raises(InvalidArgumentError, match="shape"):
        store.recall(embedding={"place": np.ones(5)})
    # There is no such space: nothing can be near.
    assert store.recall(embedding={"smell": np.ones(5)}) == []


def test_without_an_encoder_of_images(tmp_path):
    with MemoryStore(tmp_path / "s", FakeEncoder()) as plain:
        plain.remember("a", image=picture("a"))
        with pytest.raises(
            InvalidArgumentError, match="without an encoder of image; open it with image_engine="
        ):
            plain.recall(image=picture("a"))
        with pytest.raises(InvalidArgumentError, match="no image of a known format"):
            plain.recall(image=b"x")
        assert plain.recall("a")[0].text == "a"


def test_a_share_tells_how_rare_a_cosine_is():
    among_texts, among_images = Baseline(0.05, 0.09), Baseline(0.2, 0.02)
    assert among_texts.share(0.05) == 0
    assert among_images.share(0.1) == 0
    assert among_images.share(0.3) > among_texts.share(0.45)
    assert Baseline(0.0, 0.001).share(1.0) == 1


def test_memories_without_a_text_are_no_measure_of_texts(tmp_path):
    """Their vectors of zeros would make every other cosine look rare."""
    chance = np.random.default_rng(2)
    with MemoryStore(tmp_path / "s") as store:
        store.remember_many([f"t{i}" for i in range(40)], chance.standard_normal((40, 64)))
        query = chance.standard_normal(64).astype(np.float32)
        query /= np.linalg.norm(query)
        before = baseline(store._sessions.current.snapshot().home, query)
        silent = {"text": np.zeros((400, 64)), "image": chance.standard_normal((400, 48))}
        store.remember_many([f"i{i}" for i in range(400)], silent)
        after = baseline(store._sessions.current.snapshot().home, query)
    assert after.deviation > 0.5 * before.deviation


def test_a_picture_finds_the_note_that_was_told_after_it(tmp_path):
    with MemoryStore(tmp_path / "s", FakeEncoder(), **ENGINES) as told:
        for day, animal in enumerate(ANIMALS):
            told.remember(image=picture(f"one {animal}"), timestamp=86400.0 * day)
            told.remember(audio=sound(f"note{day}"), timestamp=86400.0 * day + 20)
        for animal in ("dog", "yak"):
            seen, heard = 2 * ANIMALS.index(animal) + 1, 2 * ANIMALS.index(animal) + 2
            hits = told.recall(image=picture(f"one {animal}"), top_k=2)
            assert [hit.id for hit in hits] == [seen, heard]
            assert hits[1].explain.parts["links"] > 0
            assert hits[1].score == pytest.approx(sum(hits[1].explain.parts.values()))
            assert told.recall(audio=sound(f"note{ANIMALS.index(animal)}"), top_k=2)[1].id == seen
    alone = RecallSettings(link_weight=0)
    with MemoryStore(tmp_path / "s", FakeEncoder(), recall_settings=alone, **ENGINES) as told:
        hits = told.recall(image=picture("one dog"), top_k=24)
        assert not any("links" in hit.explain.parts for hit in hits)


def test_links_add_what_no_leg_finds(store):
    far = store.remember("a far away thing", timestamp=0.0)
    seen = store.recall(image=picture("one newt"), top_k=1)[0].id
    assert far not in [hit.id for hit in store.recall(image=picture("one newt"), top_k=4)]
    with store._catalogue.writing() as db:
        add_links(db, [(seen, far, "recalled", 4.0)], now_microseconds())
    hits = store.recall(image=picture("one newt"), top_k=4)
    assert hits[0].id == seen
    assert far in [hit.id for hit in hits]
    store.forget(far)
    assert far not in [hit.id for hit in store.recall(image=picture("one newt"), top_k=12)]


def test_memories_are_linked_by_images_and_sounds_and_across(tmp_path):
    chance = np.random.default_rng(3)
    hidden = chance.standard_normal((204, 24))
    views = {kind: chance.standard_normal((24, width)) for kind, width in (("image", 48), ("audio", 32))}
    silent = np.zeros((1, 64), np.float32)
    with MemoryStore(tmp_path / "s", FakeEncoder()) as told:
        both = {name: (hidden[:200] @ view).astype(np.float32) for name, view in views.items()}
        told.remember_many(["a thing"] * 200, {"text": np.repeat(silent, 200, axis=0), **both})
        told.align()
        ids = {
            (name, place): told.remember(
                "alone", embeddings={"text": silent[0], name: hidden[place] @ views[name]}
            )
            for place in range(200, 204)
            for name in views
        }
        again = told.remember("again", embeddings={"text": silent[0], "image": hidden[201] @ views["image"]})
        told.link()
        for place in range(200, 204):
            linked = {link.id for link in told.links(ids["image", place])}
            assert ids["audio", place] in linked
        assert told.links(again)[0].id in (ids["image", 201], ids["audio", 201])


def test_baselines_are_the_median_and_the_middle_half(tmp_path):
    chance = np.random.default_rng(3)
    vectors = chance.standard_normal((300, 64)).astype(np.float32)
    queries = vectors[:5] / np.linalg.norm(vectors[:5], axis=1, keepdims=True)
    with MemoryStore(tmp_path / "store") as store:
        store.remember_many(["a thing"] * 300, vectors)
        home = store._sessions.current.snapshot().home
        found = baselines(home, queries)
        for item, query in zip(found, queries, strict=True):
            assert baseline(home, query).middle == pytest.approx(item.middle, abs=1e-6)
        assert len(home.sample) == 256
    weight = 256 / (256 + 16)
    for item, query in zip(found, queries, strict=True):
        low, middle, high = np.percentile((home.sample @ query).astype(np.float64), [25, 50, 75])
        spread = (high - low) / 1.349
        assert item.middle == pytest.approx(weight * middle, abs=1e-6)
        assert item.deviation == pytest.approx(np.sqrt(weight * spread**2 + (1 - weight) * 0.01), rel=1e-5)
        cosines = np.array([-1.0, item.middle, 0.3, 1.0], np.float32)
        assert item.shares(cosines) == pytest.approx([item.share(float(value)) for value in cosines])


def test_what_says_it_best_counts_for_a_part_of_the_query():
    candidate = Candidate(1, cosine=0.2)
    for space, share, rank in (("image", 0.5, 4), ("audio", 0.3, 2)):
        candidate.note("image", space, (0.1, share, rank))
    assert (candidate.part("image"), candidate.rank("image")) == (0.5, 2)
    candidate.note("text", "image", (0.1, 0.1, None))
    assert (candidate.part("text"), candidate.part("audio")) == (0.2, 0.0)
