"""Images, sound and transcripts end to end: random weights against the formulas in float64."""

from __future__ import annotations

import numpy as np
import pytest
from tests.reference import folder, senses

from arrowmind import ArrowEngine
from arrowmind.engine.windows import ROW, windows_of
from arrowmind.errors import InvalidArgumentError, TokenizerError, WeightError
from arrowmind.media import log_mel
from arrowmind.weights import convert_model

pytest.importorskip("PIL.Image", reason="pip install 'arrowmind[media]'")
SEED = 17
TEXTS = ["a cat on a mat", "", "Zwei H\u00fchner", "x" * 100]


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    place = tmp_path_factory.mktemp("clip")
    weights = senses.clip_weights(senses.CLIP, SEED)
    senses.write(place / "hf", senses.CLIP, weights, senses.clip_tokens())
    convert_model(place / "hf", place / "model")
    return place / "model", senses.Clip(senses.CLIP, weights)


@pytest.fixture(scope="module")
def whisper(tmp_path_factory):
    place = tmp_path_factory.mktemp("whisper")
    weights = senses.whisper_weights(senses.WHISPER, SEED)
    senses.write(place / "hf", senses.WHISPER, weights, senses.whisper_tokens())
    convert_model(place / "hf", place / "model")
    return place / "model", senses.Whisper(senses.WHISPER, weights)


def pictures(count: int) -> np.ndarray:
    return np.random.default_rng(SEED).integers(0, 256, (count, 70, 90, 3)).astype(np.uint8)


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, int(seconds * 16000)).astype(np.float32)


def test_texts_are_those_of_the_formula(clip):
    path, reference = clip
    engine = ArrowEngine(path)
    ids = [engine.tokenise(text)[:19] for text in TEXTS]
    ids = [one if one[-1] == 257 else [*one, 257] for one in ids]
    expected = np.array([reference.text(one) for one in ids])
    found = engine.encode(TEXTS, normalize=False)
    assert found.shape == (4, 48)
    assert np.abs(found - expected).max() < 2e-5
    assert np.allclose(np.linalg.norm(engine.encode(TEXTS), axis=1), 1, atol=1e-6)


def test_a_text_ends_at_its_first_end(clip):
    engine = ArrowEngine(clip[0])
    assert np.array_equal(engine.encode("a<|endoftext|>b"), engine.encode("a"))


def test_images_are_those_of_the_formula(clip):
    path, reference = clip
    engine = ArrowEngine(path)
    given = pictures(5)
    expected = np.array([reference.image(engine.perception.pixels(one)) for one in given])
    found = engine.encode_image(given, normalize=False)
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() < 2e-5
    assert np.allclose(np.linalg.norm(engine.encode_image(given), axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("threads", [1, 3])
def test_an_image_does_not_depend_on_others_or_threads(clip, threads):
    engine = ArrowEngine(clip[0], threads=threads)
    given = pictures(40)
    whole = ArrowEngine(clip[0], threads=2).encode_image(list(given))
    assert np.array_equal(engine.encode_image(given[:7]), whole[:7])
    assert np.array_equal(engine.encode_image(given[39]), whole[39:])
    assert engine.encode_image([]).shape == (0, 48)


def test_sound_is_that_of_the_formula(whisper):
    path, reference = whisper
    engine = ArrowEngine(path)
    sound = noise(1.13)
    heard = -(-len(sound) // ROW)
    frames = log_mel(sound, 80, 2 * (heard + 25), 150 * ROW)
    expected = reference.sound(frames.astype(np.float64))
    (window,) = engine.perception.windows(sound, 0.5)
    (states,) = engine.perception.sound_states([window])
    assert np.abs(states - expected).max() < 2e-5
    found = engine.encode_audio(sound, normalize=False, margin=0.5)
    assert np.abs(found[0] - expected[:heard].mean(axis=0)).max() < 2e-5
    assert np.linalg.norm(engine.encode_audio(sound)) == pytest.approx(1, abs=1e-6)


def test_real_speech(whisper, shared_data):
    """At 16,000 and 8,000 samples a second, alone and among others."""
    paths = [
        shared_data / "audio" / "jfk.wav",
        *sorted((shared_data / "audio" / "spoken-digits").glob("*.wav"))[:9],
    ]
    if not all(path.is_file() for path in paths) or len(paths) < 10:
        pytest.skip(f"no speech in {shared_data / 'audio'}")
    engine = ArrowEngine(whisper[0])
    together = engine.encode_audio(paths)
    assert together.shape == (10, 64)
    assert np.isfinite(together).all()
    for place in (0, 5):
        assert np.array_equal(engine.encode_audio(paths[place].read_bytes())[0], together[place])
    assert isinstance(engine.transcribe(paths[1], language="en"), str)


def test_a_sound_does_not_depend_on_threads_and_rates_are_heeded(whisper):
    sound = noise(0.8)
    one = ArrowEngine(whisper[0], threads=1).encode_audio([sound, sound[:5000]])
    assert np.array_equal(one, ArrowEngine(whisper[0], threads=3).encode_audio([sound, sound[:5000]]))
    engine = ArrowEngine(whisper[0])
    assert not np.array_equal(engine.encode_audio(sound, rate=8000), one[:1])
    assert np.array_equal(engine.encode_audio((sound * 0).astype(np.int16)), engine.encode_audio(sound * 0))


def test_a_long_sound_is_cut_where_it_is_quiet():
    sound = noise(70.0)
    sound[26 * 16000 : 27 * 16000] *= 0.001
    windows = windows_of(sound, 1500, 1.0)
    assert sum(len(one.samples) for one in windows) == len(sound)
    assert 26 * 16000 <= len(windows[0].samples) <= 27 * 16000
    assert all(one.rows <= 1500 for one in windows)
    assert windows[0].rows == windows[0].heard + 50
    assert [len(one.samples) for one in windows_of(noise(30.0), 1500, 1.0)] == [480_000]


def test_a_long_sound_is_the_mean_of_its_windows(whisper):
    engine = ArrowEngine(whisper[0])
    sound = noise(7.0)
    windows = engine.perception.windows(sound, 0.2)
    assert len(windows) > 1
    states = [engine.perception.sound_states([one])[0][: one.heard] for one in windows]
    expected = np.concatenate(states).mean(axis=0, dtype=np.float64)
    assert np.abs(engine.encode_audio(sound, normalize=False, margin=0.2) - expected).max() < 1e-6


def test_transcripts_are_those_of_the_formula(whisper):
    path, reference = whisper
    engine = ArrowEngine(path)
    writer = engine.transcriber
    windows = engine.perception.windows(noise(0.6, 3), 0.5)
    states = engine.perception.sound_states(windows)[0]
    prompt = [257, 258, 261, 262]
    found = writer.ids(states, prompt, 20)
    ids = list(prompt)
    for _ in range(20):
        ids.append(int(reference.logits(ids, states.astype(np.float64))[-1].argmax()))
    assert found == ids[4:]


def test_transcribing_says_something_and_is_the_same_again(whisper):
    engine = ArrowEngine(whisper[0])
    sound = noise(6.0, 5)
    text = engine.transcribe(sound)
    assert isinstance(text, str)
    assert text == engine.transcribe(sound) == ArrowEngine(whisper[0], threads=1).transcribe(sound)
    assert engine.transcribe(sound, language="de", task="translate") is not None


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"language": "xx"}, "language 'xx'"),
        ({"task": "sing"}, "task 'sing'"),
        ({"margin": -1}, "margin=-1"),
        ({"margin": float("nan")}, "margin=nan"),
    ],
)
def test_options_of_transcripts(whisper, options, what):
    with pytest.raises(InvalidArgumentError, match=what):
        ArrowEngine(whisper[0]).transcribe(noise(0.1), **options)


def test_models_say_what_they_cannot(clip, whisper):
    image, sound = ArrowEngine(clip[0]), ArrowEngine(whisper[0])
    for call, what in (
        (lambda: image.encode_audio(noise(0.1)), "no tower of sound"),
        (lambda: image.transcribe(noise(0.1)), "no tower of transcript"),
        (lambda: sound.encode_image(pictures(1)), "no tower of image"),
        (lambda: sound.encode(["a"]), "no tower of text"),
        (lambda: image.logits("a"), "several senses|is an encoder"),
        (lambda: image.generate("a"), "several senses|is an encoder"),
    ):
        with pytest.raises(InvalidArgumentError, match=what):
            call()
    assert image.info()["towers"] == ["text", "image"]
    assert sound.info()["towers"] == ["sound", "transcript"]


def test_an_image_among_many_is_named(clip):
    with pytest.raises(InvalidArgumentError, match=r"number 3 of 4: .*damaged|number 3 of 4: .*no image"):
        ArrowEngine(clip[0]).encode_image([pictures(1)[0]] * 2 + [b"rubbish"] + [pictures(1)[0]])


def test_an_encoder_of_text_sees_nothing(tmp_path):
    convert_model(folder.write(tmp_path / "hf", folder.weights()), tmp_path / "model")
    with pytest.raises(InvalidArgumentError, match="reads text alone"):
        ArrowEngine(tmp_path / "model").encode_image(pictures(1))


def test_tokenizers_that_do_not_fit(tmp_path, whisper):
    weights = senses.whisper_weights(senses.WHISPER, SEED)
    senses.write(tmp_path / "hf", senses.WHISPER, weights, senses.clip_tokens())
    convert_model(tmp_path / "hf", tmp_path / "model")
    with pytest.raises(TokenizerError, match="startoftranscript"):
        ArrowEngine(tmp_path / "model").transcribe(noise(0.1))


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"vision_config": {**senses.CLIP["vision_config"], "patch_size": 15}}, "patches of 15"),
        ({"vision_config": {**senses.CLIP["vision_config"], "image_size": 96}}, "position_embedding"),
        ({"vision_config": {**senses.CLIP["vision_config"], "hidden_act": "relu"}}, "hidden_act"),
        ({"text_config": {**senses.CLIP["text_config"], "num_attention_heads": 5}}, "num_attention_heads"),
        ({"text_config": 3}, "text_config is 3"),
        ({"projection_dim": 50}, "shape|columns"),
    ],
)
def test_configurations_that_do_not_fit(tmp_path, change, what):
    weights = senses.clip_weights(senses.CLIP, SEED)
    senses.write(tmp_path / "hf", {**senses.CLIP, **change}, weights, senses.clip_tokens())
    convert_model(tmp_path / "hf", tmp_path / "model")
    with pytest.raises(WeightError, match=what):
        ArrowEngine(tmp_path / "model")
