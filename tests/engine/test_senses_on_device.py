"""Images, sound and transcripts on a device: the CPU's bits on the cpu device, and the CPU when it fails."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from tests.engine.placed import STRICT, forwards
from tests.reference import senses

from arrowmind import ArrowEngine
from arrowmind.engine import forward_room
from arrowmind.errors import DeviceLostError, DeviceMemoryError, InvalidArgumentError
from arrowmind.observe import metrics
from arrowmind.weights import convert_model

pytest.importorskip("PIL.Image", reason="pip install 'arrowmind[media]'")
SEED = 17
TEXTS = ["a cat on a mat", "", "x" * 100]
PICTURES = np.random.default_rng(SEED).integers(0, 256, (5, 70, 90, 3)).astype(np.uint8)
SOUNDS = [
    np.random.default_rng(seed).normal(0, 0.1, samples).astype(np.float32)
    for seed, samples in enumerate((13_000, 5_000, 100_000))  # the last has several windows
]
FAULTS = [
    ({"allocation": 1}, "out of memory"),
    ({"launch": 1}, "a kernel did not run"),
    ({"at": 5, "status": 5}, "the device failed"),
    ({"lost": 4}, "the device was lost"),
]


def made(place, config, weights, tokens):
    senses.write(place / "hf", config, weights, tokens)
    convert_model(place / "hf", place / "model")
    return place / "model"


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    place = tmp_path_factory.mktemp("clip")
    return made(place, senses.CLIP, senses.clip_weights(senses.CLIP, SEED), senses.clip_tokens())


@pytest.fixture(scope="module")
def whisper(tmp_path_factory):
    place = tmp_path_factory.mktemp("whisper")
    return made(place, senses.WHISPER, senses.whisper_weights(senses.WHISPER, SEED), senses.whisper_tokens())


def look(engine):
    return engine.encode_image(PICTURES)


def hear(engine):
    return engine.encode_audio(SOUNDS, margin=0.2)


def read(engine):
    return engine.encode(TEXTS)


def write(engine):
    return [engine.transcribe(sound, margin=0.2) for sound in SOUNDS]


WORK = {
    "images": ("clip", look),
    "texts": ("clip", read),
    "sound": ("whisper", hear),
    "speech": ("whisper", write),
}


@pytest.fixture(params=WORK)
def work(request):
    """A model, what is asked of it, and what the CPU answers."""
    name, ask = WORK[request.param]
    model = request.getfixturevalue(name)
    return model, ask, ask(ArrowEngine(model, device="cpu", threads=2))


def fallbacks(reason):
    return metrics.fallback_events.values().get(("device", reason), 0)


def test_the_same_bits_as_on_the_cpu(fake, work):
    model, ask, expected = work
    engine = ArrowEngine(model, device="cuda", threads=2, config=STRICT)
    before, on_cpu = forwards("device"), forwards("cpu")
    np.testing.assert_array_equal(ask(engine), expected)
    assert forwards("device") > before
    assert forwards("cpu") == on_cpu
    info = engine.info()
    assert info["device"] == "cuda:0"
    assert info["device_state"]["serves"]
    assert info["device_state"]["weight_bytes"] > 0
    assert "attention" in info["kernels"]


def test_transcripts_need_the_last_operators(fake, whisper):
    engine = ArrowEngine(whisper, device="cuda", threads=2, config=STRICT)
    assert "previous" in engine.info()["kernels"]
    assert "cross_attention" not in engine.info()["kernels"]  # nothing was to be written down yet
    before = fake.live()["allocations"]
    engine.transcribe(SOUNDS[0])
    engine.transcribe(SOUNDS[0])
    held = fake.live()["allocations"]
    engine.transcribe(SOUNDS[0])
    assert fake.live()["allocations"] == held > before  # pages and what was heard are given back
    assert "cross_attention" in engine.info()["kernels"]


def test_no_request_is_lost_while_a_device_comes_and_goes(fake, clip, whisper):
    seeing, hearing = (ArrowEngine(model, device="cpu", threads=2) for model in (clip, whisper))
    vectors, text = look(seeing), hearing.transcribe(SOUNDS[1])
    seeing, hearing = (ArrowEngine(model, device="cuda", threads=2) for model in (clip, whisper))
    answers = []

    def ask(place):
        for number in (place % 5, (place + 2) % 5):
            found = seeing.encode_image(PICTURES[number : number + 1])[0]
            answers.append(np.array_equal(found, vectors[number]))
        if place % 8 == 0:
            answers.append(hearing.transcribe(SOUNDS[1]) == text)

    threads = [threading.Thread(target=ask, args=(place,)) for place in range(64)]
    for thread in threads:
        thread.start()
    for fault in ({"lost": 30}, {}, {"launch": 5}, {"allocation": 1}, {"lost": 7}, {}):
        fake.set(**fault)
        threading.Event().wait(0.05)
    for thread in threads:
        thread.join()
    assert answers == [True] * (2 * 64 + 8)


@pytest.mark.parametrize(("settings", "reason"), FAULTS)
def test_a_failure_is_served_by_the_cpu_and_told(fake, work, settings, reason):
    model, ask, expected = work
    engine = ArrowEngine(model, device="cuda", threads=2)
    ask(engine)
    before, on_cpu = fallbacks(reason), forwards("cpu")
    fake.set(**settings)
    np.testing.assert_array_equal(ask(engine), expected)
    if "allocation" in settings and fallbacks(reason) == before:
        return  # what was kept for the next request was enough
    assert fallbacks(reason) > before
    assert forwards("cpu") > on_cpu


@pytest.mark.parametrize("call", range(1, 400, 23))
def test_a_device_that_is_lost_at_any_call_is_opened_anew(fake, whisper, call):
    """Of a transcript, which is many forwards: it is written once, all of it in one place."""
    expected = ArrowEngine(whisper, device="cpu", threads=2).transcribe(SOUNDS[0])
    engine = ArrowEngine(whisper, device="cuda", threads=2)
    fake.set(lost=call)
    assert engine.transcribe(SOUNDS[0]) == expected
    fake.set()
    before = forwards("cpu")
    assert engine.transcribe(SOUNDS[0]) == expected
    assert forwards("cpu") == before


def test_a_device_without_room_for_the_model(fake, clip):
    expected = look(ArrowEngine(clip, device="cpu", threads=2))
    before = fallbacks("out of memory")
    fake.set(memory=64 << 10)
    engine = ArrowEngine(clip, device="cuda", threads=2)
    np.testing.assert_array_equal(look(engine), expected)
    assert fallbacks("out of memory") > before
    fake.set()
    there = forwards("device")
    np.testing.assert_array_equal(look(engine), expected)
    assert forwards("device") > there


def test_errors_where_they_are_asked_for(fake, whisper):
    fake.set(memory=64 << 10)
    with pytest.raises(DeviceMemoryError, match="out of memory"):
        ArrowEngine(whisper, device="cuda", config=STRICT)
    fake.set()
    engine = ArrowEngine(whisper, device="cuda", config=STRICT)
    fake.set(lost=1)
    with pytest.raises(DeviceLostError, match="fell off the bus"):
        engine.transcribe(SOUNDS[0])


def test_vectors_of_texts_stay_there(fake, clip):
    engine = ArrowEngine(clip, device="cuda", threads=2, config=STRICT)
    there = engine.encode_on_device(TEXTS)
    assert there.device == "cuda:0"
    np.testing.assert_array_equal(there.to_numpy(), read(ArrowEngine(clip, device="cpu", threads=2)))


def test_wide_models_run_in_smaller_parts(fake, clip, monkeypatch):
    monkeypatch.setattr(forward_room, "MOST_ROWS", 1)
    engine = ArrowEngine(clip, device="cuda", threads=2, config=STRICT)
    np.testing.assert_array_equal(look(engine), look(ArrowEngine(clip, device="cpu", threads=2)))


def test_what_is_looked_at_is_checked(fake, whisper):
    engine = ArrowEngine(whisper, device="cuda", threads=2, config=STRICT)

    def ask(**options):
        def work(window):
            kept = window._writer
            return kept.run(np.array([1], np.int32), np.array([0, 1], np.int32), **options)

        return engine.transcriber._plans.over(np.zeros((7, 64), np.float32), work)

    with pytest.raises(InvalidArgumentError, match="was given nothing on cuda:0 to look at"):
        ask()
    from arrowmind import _native

    host = _native.SharedRows.of_host(np.zeros((7, 256), np.float32))
    whole = np.array([0, 7], np.int32)
    with pytest.raises(InvalidArgumentError, match="was given nothing on cuda:0 to look at"):
        ask(memory=host, memory_offsets=whole)
    for offsets in (None, np.array([0, 8], np.int32), np.array([0], np.int32)):
        with pytest.raises(InvalidArgumentError, match="memory_offsets must be 2 values from 0"):
            ask(memory=host, memory_offsets=offsets)
