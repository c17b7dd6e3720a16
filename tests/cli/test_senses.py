"""Commands over images and sound, with models of random weights."""

from __future__ import annotations

import numpy as np
import pytest
from tests.reference import senses

from arrowmind import ArrowEngine
from arrowmind.columnar import ArrowFile
from arrowmind.weights import convert_model

Image = pytest.importorskip("PIL.Image", reason="pip install 'arrowmind[media]'")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    for name, config, weights, tokens in (
        ("clip", senses.CLIP, senses.clip_weights(senses.CLIP, 3), senses.clip_tokens()),
        ("whisper", senses.WHISPER, senses.whisper_weights(senses.WHISPER, 3), senses.whisper_tokens()),
    ):
        senses.write(folder / f"{name}-hf", config, weights, tokens)
        convert_model(folder / f"{name}-hf", folder / name)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 60, 3)).astype(np.uint8)).save(
        folder / "one.png"
    )
    sound = np.random.default_rng(0).normal(0, 3000, 8000).astype("<i2").tobytes()
    senses.write_wave(folder / "one.wav", sound)
    return folder


def test_images_and_sounds(call, place):
    clip, whisper = str(place / "clip"), str(place / "whisper")
    picture, sound = str(place / "one.png"), str(place / "one.wav")
    outcome = call("encode", clip, "--image", picture, "--image", picture, "--json")
    assert (outcome.json["count"], outcome.json["dimension"]) == (2, 48)
    assert np.allclose(outcome.json["embeddings"][0], ArrowEngine(clip).encode_image(picture)[0])
    outcome = call("encode", whisper, "--audio", sound, "--json")
    assert np.allclose(outcome.json["embeddings"][0], ArrowEngine(whisper).encode_audio(sound)[0])
    assert call("encode", clip, "--image", picture, "--output", "x.arrow").code == 0
    with ArrowFile.open("x.arrow") as file:
        assert file.batch(0).strings("text") == [picture]


def test_transcripts(call, place):
    whisper, sound = str(place / "whisper"), str(place / "one.wav")
    text = ArrowEngine(whisper).transcribe(sound, language="de")
    outcome = call("transcribe", whisper, sound, sound, "--language", "de", "--json")
    assert [one["text"] for one in outcome.json["transcripts"]] == [text, text]
    assert call("transcribe", whisper, sound, "--language", "xx").code == 1


def test_what_does_not_go(call, place):
    clip, picture = str(place / "clip"), str(place / "one.png")
    outcome = call("encode", clip, "text", "--image", picture)
    assert outcome.code == 1
    assert "one kind at a time" in outcome.stderr
    outcome = call("encode", clip, "--audio", str(place / "one.wav"))
    assert outcome.code == 1
    assert "no tower of sound" in outcome.stderr
    outcome = call("encode", clip, "--image", str(place / "one.wav"))
    assert outcome.code == 1
    assert "no image" in outcome.stderr
    assert "Traceback" not in outcome.stderr
