"""INT8 models of images and sound: by ranges and by error feedback, checked, and run."""

from __future__ import annotations

import numpy as np
import pytest
from tests.reference import senses

from arrowmind import ArrowEngine, ArrowQuantizer, QuantizationConfig
from arrowmind.engine.drawing import drawn_image, drawn_sound
from arrowmind.engine.quantizing import open_calibrator
from arrowmind.engine.samples import Samples
from arrowmind.errors import QuantizationError
from arrowmind.weights import convert_model, open_weights

pytest.importorskip("PIL.Image", reason="pip install 'arrowmind[media]'")
SEED = 23
NAMES = [f"sample {place}" for place in range(12)]
TEXTS = [f"a text {place} of some words to calibrate on" for place in range(24)]
# Small models of random weights lose more than those of real shapes, where errors of more inputs cancel.
LEAST = {"cosine_mean": 0.99, "cosine_min": 0.98, "overlap_at_10": 0.5}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    place = tmp_path_factory.mktemp("senses")
    made = {}
    for name, config, weights, tokens in (
        ("clip", senses.CLIP, senses.clip_weights(senses.CLIP, SEED), senses.clip_tokens()),
        ("whisper", senses.WHISPER, senses.whisper_weights(senses.WHISPER, SEED), senses.whisper_tokens()),
    ):
        senses.write(place / f"{name}-hf", config, weights, tokens)
        convert_model(place / f"{name}-hf", place / name)
        made[name] = place / name
    return made


def vectors(path) -> np.ndarray:
    """Of each sense that the model has."""
    engine = ArrowEngine(path, judge=False)
    kinds = engine.info()["towers"]
    found = []
    if "text" in kinds:
        found += [engine.encode(NAMES), engine.encode_image([drawn_image(name) for name in NAMES])]
    if "sound" in kinds:
        found.append(engine.encode_audio([drawn_sound(name) for name in NAMES]))
        states = [engine.transcriber.states(drawn_sound(name), engine.tokenise(name)) for name in NAMES]
        means = np.stack([one.mean(axis=0) for one in states])
        found.append(means / np.linalg.norm(means, axis=1, keepdims=True))
    return np.concatenate(found)


@pytest.mark.parametrize("name", ["clip", "whisper"])
@pytest.mark.parametrize("method", ["ptq", "gptq"])
def test_int8_is_close(folders, tmp_path, name, method):
    config = QuantizationConfig(calibration=method, **LEAST)
    report = ArrowQuantizer(config, texts=NAMES, calibration_texts=TEXTS).quantize(
        folders[name], tmp_path / "int8"
    )
    cosines = senses.cosines(vectors(tmp_path / "int8"), vectors(folders[name]))
    print(f"{name} by {method}: {cosines.mean():.5f}, smallest {cosines.min():.5f}; {report}")
    assert cosines.min() > 0.985
    assert report.verdict == "passed"
    with open_weights(tmp_path / "int8") as weights:
        kinds = {one: weights.spec(one).quant_type for one in weights.names()}
    matrices = [
        one for one in kinds if one.endswith(("fc1.weight", "patch_embedding.weight", "conv2.weight"))
    ]
    assert matrices
    assert {kinds[one] for one in matrices} == {"int8"}


@pytest.mark.parametrize("name", ["clip", "whisper"])
def test_every_matrix_is_seen(folders, name):
    calibrator = open_calibrator(folders[name], NAMES)
    seen = {one for group in calibrator.groups for one in group.names}
    with open_weights(folders[name]) as weights:
        matrices = {
            one
            for one in weights.names()
            if one.endswith("weight")
            and len(weights.spec(one).shape) == 2
            and not one.endswith(("token_embedding.weight", "position_embedding.weight"))
            and "embed_" not in one
        }
    assert seen == matrices
    blocks = [group.block for group in calibrator.groups]
    assert blocks == sorted(blocks)
    moments = calibrator.moments(calibrator.groups[-2:], {})
    for group, moment in zip(calibrator.groups[-2:], moments, strict=True):
        assert moment.shape == (group.inputs, group.inputs)
        assert np.abs(moment - moment.T).max() <= 1e-5 * np.abs(moment).max()
        assert (np.diagonal(moment) >= 0).all()
        assert np.diagonal(moment).max() > 0
    assert np.allclose(np.linalg.norm(calibrator.embeddings({}), axis=1), 1, atol=1e-5)


def test_moments_are_those_of_what_enters(folders):
    """Of the first matrix, which reads patches: computed here from the images themselves."""
    calibrator = open_calibrator(folders["clip"], NAMES)
    (group,) = (one for one in calibrator.groups if "patch_embedding" in one.names[0])
    engine = ArrowEngine(folders["clip"])
    pixels = [engine.perception.pixels(drawn_image(name)) for name in NAMES]
    rows = engine.perception.image_rows(pixels).astype(np.float64)
    expected = rows.T @ rows / len(rows)
    (found,) = calibrator.moments([group], {})
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()


def test_files_stand_for_senses(tmp_path):
    samples = Samples.of(["a", f"image:{tmp_path / 'x.png'}", "b"])
    assert samples.texts == ["a", "b"]
    assert samples.image_names == [f"image:{tmp_path / 'x.png'}"]
    assert samples.sound_names == ["a", "b"]
    assert samples.image(samples.image_names[0]) == str(tmp_path / "x.png")


def test_what_is_drawn_depends_on_the_name_alone():
    assert np.array_equal(drawn_image("a"), drawn_image("a"))
    assert not np.array_equal(drawn_image("a"), drawn_image("b"))
    sound = drawn_sound("a")
    assert np.array_equal(sound, drawn_sound("a"))
    assert 16000 <= len(sound) <= 64000
    assert np.abs(sound).max() <= 0.91


def test_distillation_says_what_it_trains(folders, tmp_path):
    config = QuantizationConfig(quant_type="int4", calibration="distill")
    with pytest.raises(QuantizationError, match=r"text alone|torch"):
        ArrowQuantizer(config).quantize(folders["clip"], tmp_path / "int4")
