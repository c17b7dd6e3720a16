"""What the check measures, and when it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from arrowmind.errors import InvalidArgumentError, WeightError
from arrowmind.quantize import Thresholds, check, validate
from arrowmind.quantize.probes import PROBES
from arrowmind.weights import convert_model


def at_angle(degrees):
    """Two embedders whose vectors for the text "turned" are so far apart, else equal."""
    radians = np.deg2rad(degrees)

    def first(texts):
        return np.tile(np.array([1, 0], np.float32), (len(texts), 1))

    def second(texts):
        turned = np.array([np.cos(radians), np.sin(radians)], np.float32) * 3
        return np.stack([turned if text == "turned" else np.array([1, 0], np.float32) for text in texts])

    return first, second


def test_cosines_are_those_of_the_angle():
    report = check(*at_angle(60), ["a", "turned", "b"], Thresholds(0.8, 0.49))
    assert report.cosine_min == pytest.approx(0.5)
    assert report.cosine_mean == pytest.approx((1 + 0.5 + 1) / 3)
    assert report.worst_text == "turned"
    assert report.passed
    report.raise_if_refused()


@pytest.mark.parametrize("thresholds", [Thresholds(0.9, 0.4), Thresholds(0.8, 0.51)])
def test_either_threshold_refuses(thresholds):
    report = check(*at_angle(60), ["a", "turned", "b"], thresholds)
    assert report.verdict == "refused"


def test_another_shape_is_refused():
    report = check(lambda texts: np.ones((len(texts), 3)), lambda texts: np.ones((len(texts), 4)), ["a"])
    assert report.cosine_min == -1
    assert not report.passed


def test_no_texts_is_an_error():
    with pytest.raises(InvalidArgumentError, match="at least one"):
        check(*at_angle(0), [])


def test_validate_compares_two_folders(model, embedder):
    report = validate(model, model, embedder=embedder)
    assert report.passed
    assert report.cosine_min == pytest.approx(1, abs=1e-6)
    assert report.tensors == {}
    assert report.bytes == report.reference_bytes
    assert report.started <= report.finished
    with pytest.raises(WeightError):
        validate(model, model / "nowhere", embedder=embedder)


def test_probe_texts_are_many_and_varied():
    assert len(PROBES) >= 64
    assert len(set(PROBES)) == len(PROBES)
    words = [len(text.split()) for text in PROBES]
    assert min(words) == 1
    assert max(words) >= 40
    assert sum(any("\u4e00" <= letter <= "\u9fff" for letter in text) for text in PROBES) >= 6


def test_originals_of_any_kind_are_embedded_through_a_folder_of_ours(model, embedder, tmp_path):
    convert_model(model, tmp_path / "parquet", formats=["parquet-v1"])
    opened = []

    def noting(folder):
        opened.append(folder)
        return embedder(folder)

    report = validate(tmp_path / "parquet" / "weights.parquet", model, embedder=noting)
    assert report.passed
    assert report.tensors == {}
    assert opened[1] == model
    assert opened[0].name == "model"
    assert not opened[0].exists()
