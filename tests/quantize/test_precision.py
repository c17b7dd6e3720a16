"""What the check measures, and when it refuses."""

from __future__ import annotations

import hashlib
import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from arrowmind.errors import InvalidArgumentError, PrecisionError, WeightError
from arrowmind.quantize import PrecisionReport, Thresholds, check, validate
from arrowmind.quantize.calibration_texts import CALIBRATION_TEXTS
from arrowmind.quantize.probes import PROBES
from arrowmind.quantize.report import hash_of_texts, stored_report
from arrowmind.weights import convert_model, write_weights
from arrowmind.weights.tensor import float_tensor


@pytest.fixture
def weights_of():
    """A stand-in for a weight file that carries this report."""
    return lambda report: SimpleNamespace(path="somewhere", precision=report)


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
    report = check(*at_angle(60), ["a", "turned", "b"], Thresholds(0.8, 0.49, 0.9))
    assert report.cosine_min == pytest.approx(0.5)
    assert report.cosine_mean == pytest.approx((1 + 0.5 + 1) / 3)
    assert report.worst_text == "turned"
    assert report.passed
    report.raise_if_refused()


@pytest.mark.parametrize(
    "thresholds", [Thresholds(0.9, 0.4, 0.9), Thresholds(0.8, 0.51, 0.9), Thresholds(0.8, 0.4, 0.95)]
)
def test_any_threshold_refuses(thresholds):
    report = check(*at_angle(60), ["a", "turned", "b"], thresholds)
    assert report.verdict == "refused"


def test_what_is_refused_is_told_with_all_its_figures():
    report = check(*at_angle(60), ["a", "turned", "b"], Thresholds(0.8, 0.49, 0.95))
    with pytest.raises(PrecisionError, match=r"overlap at 10 0.93.* \(at least 0.95 needed\).*'turned'"):
        report.raise_if_refused()
    assert "overlap at 10    0.93" in str(report)


def test_texts_are_searched_among_the_background():
    seen = []

    def embed(texts):
        seen.append(texts)
        return np.eye(len(texts), dtype=np.float32)

    report = check(embed, embed, ["a", "b"], background=["b", "c"])
    assert seen == [["a", "b", "c"]] * 2
    assert (report.texts, report.overlap_at_10) == (2, None)
    assert report.passed
    assert check(embed, embed, ["alone"]).overlap_at_10 == 1
    assert len(seen[-1]) == 1 + len(CALIBRATION_TEXTS)


def test_a_report_of_an_earlier_version_asks_for_what_that_version_asked(weights_of):
    report = PrecisionReport.from_dict(
        {"verdict": "passed", "cosine_mean": 0.9, "thresholds": {"cosine_mean": 0.8}, "later": 1}
    )
    assert report.overlap_at_10 is None
    assert report.thresholds.overlap_at_10 == -1
    assert PrecisionReport.from_dict(report.to_dict()) == report
    assert stored_report(weights_of({})) is None
    assert stored_report(weights_of(report.to_dict())) == report


@pytest.mark.parametrize(
    "values",
    [
        {"verdict": 1},
        {"thresholds": []},
        {"thresholds": {"cosine_mean": "high"}},
        {"cosine_mean": True},
        {"tensors": {"a": "b"}},
        {"tensors": [1]},
        {"seed": None},
    ],
    ids=str,
)
def test_a_damaged_report_is_an_error_that_names_the_file(values, weights_of):
    with pytest.raises(WeightError, match=r"somewhere: the precision report holds"):
        stored_report(weights_of(values))


def test_the_hash_is_of_each_text_and_their_order():
    texts = ["a", "bc", "\ud800"]
    assert hash_of_texts(texts) == hash_of_texts(tuple(texts))
    assert len({hash_of_texts(each) for each in (texts, texts[::-1], ["ab", "c", "\ud800"], texts[:2])}) == 4
    expected = hashlib.sha256((1).to_bytes(8, "little") + b"a").hexdigest()
    assert hash_of_texts(["a"]) == expected
    assert hash_of_texts([]) == ""


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


def test_models_of_other_shapes_compare_to_numbers(model, embedder, weights, tmp_path):
    shutil.copytree(model, tmp_path / "other")
    values = {name: array[:, :-1] if array.ndim == 2 else array for name, array in weights.items()}
    tensors = (
        float_tensor(name, np.ascontiguousarray(array)).for_kernels() for name, array in values.items()
    )
    write_weights(tmp_path / "other" / "weights.arrow", tensors)
    report = validate(model, tmp_path / "other", embedder=lambda _folder: embedder(model))
    assert set(report.tensors.values()) == {1.0}
    json.dumps(report.to_dict(), allow_nan=False)


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
    assert opened[0].name.startswith(".original-")
    assert not opened[0].exists()


def test_a_model_is_judged_by_what_it_was_made_for(model, tmp_path, embedder):
    from arrowmind.quantize import ArrowQuantizer, QuantizationConfig

    config = QuantizationConfig(quant_type="int4", cosine_mean=0.5, cosine_min=0.25, overlap_at_10=0)
    ArrowQuantizer(config, embedder=embedder).quantize(model, tmp_path / "int4")
    report = validate(model, tmp_path / "int4", embedder=embedder)
    assert report.thresholds == config.thresholds
    assert (report.thresholds.cosine_mean, report.thresholds.overlap_at_10) == (0.5, 0)
    assert report.passed
    assert not validate(model, tmp_path / "int4", embedder=embedder, thresholds=Thresholds(1, 1, 1)).passed
