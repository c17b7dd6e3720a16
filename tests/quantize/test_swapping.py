"""Results below their thresholds, whose worst tensors are made wider until they are above."""

from __future__ import annotations

import pytest
from tests.reference import folder

from arrowmind.engine import ArrowEngine
from arrowmind.engine.moments import MomentObserver
from arrowmind.errors import InvalidArgumentError, PrecisionError
from arrowmind.quantize import ArrowQuantizer, PrecisionReport, QuantizationConfig, explain
from arrowmind.weights import convert_model, open_weights

TEXTS = ["the cat sat on the mat.", "a dog", "the dog ran far away, and back!", "cat dog mat the a back far"]


def open_engine(path):
    return ArrowEngine(path, judge=False).encode


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("swapping")
    convert_model(folder.write(path / "original", folder.weights()), path / "tiny")
    return path / "tiny"


def quantise(model, output, calibrator=MomentObserver, **options):
    asked = {"quant_type": "int4", "cosine_min": -1, "overlap_at_10": 0.0, "on_failure": "swap", **options}
    quantizer = ArrowQuantizer(
        QuantizationConfig(**asked),
        embedder=open_engine,
        calibrator=calibrator,
        texts=TEXTS,
        calibration_texts=TEXTS,
    )
    if calibrator is None:
        quantizer._calibrator = None
    return quantizer.quantize(model, output)


@pytest.fixture(scope="module")
def plain(model, tmp_path_factory):
    return quantise(model, tmp_path_factory.mktemp("plain") / "q", cosine_mean=-1)


@pytest.mark.parametrize("calibration", ["ptq", "gptq"])
def test_the_worst_tensors_are_made_wider_and_no_more(model, plain, tmp_path, caplog, calibration):
    assert plain.swapped == {}
    threshold = 1 - 0.5 * (1 - plain.cosine_mean)
    report = quantise(model, tmp_path / "q", cosine_mean=threshold, calibration=calibration)
    print(plain.cosine_mean, threshold, report)
    if calibration == "gptq" and not report.swapped:
        return  # it got there by itself
    assert report.passed
    assert report.cosine_mean >= threshold
    assert 1 <= len(report.swapped) <= 4
    assert set(report.swapped.values()) == {"int4 -> int8"}
    assert "a tensor gets a wider type" in caplog.text
    assert "made wider" in str(report)
    with open_weights(tmp_path / "q") as weights:
        for name in report.swapped:
            assert weights.spec(name).quant_type == "int8"
        assert PrecisionReport.from_dict(weights.precision) == report
    explained = explain(tmp_path / "q").certificate
    assert explained.swapped == report.swapped
    assert explained.is_of_these_weights
    ArrowEngine(tmp_path / "q")


def test_the_tensor_with_the_largest_cost_goes_first(model, plain, tmp_path):
    report = quantise(model, tmp_path / "q", cosine_mean=plain.cosine_mean + 1e-6, activation="fp32")
    first = next(iter(report.swapped))
    without = {
        name: quantise(model, tmp_path / name, cosine_mean=-1, keep=(name,), activation="fp32").cosine_mean
        for name in plain.tensors
        if name.startswith("encoder") and name.endswith("weight")
    }
    print(without)
    assert without[first] >= max(without.values()) - 1e-4


def test_without_a_calibrator_the_errors_of_weights_decide(model, plain, tmp_path):
    report = quantise(model, tmp_path / "q", None, cosine_mean=plain.cosine_mean + 1e-6)
    assert report.passed
    assert next(iter(report.swapped)) == max(
        (name for name in plain.tensors if name.startswith("encoder")), key=plain.tensors.__getitem__
    )


def test_tensors_may_go_all_the_way_to_floats(model, tmp_path):
    report = quantise(model, tmp_path / "q", cosine_mean=1 - 5e-7, keep_type="fp32", activation="fp32")
    assert report.passed
    assert "int4 -> fp32" in report.swapped.values()


def test_what_no_width_reaches_is_refused(model, tmp_path):
    with pytest.raises(PrecisionError, match="below the threshold"):
        quantise(model, tmp_path / "q", cosine_mean=1.0, cosine_min=1.0, keep_type="fp16")
    assert not (tmp_path / "q").exists()


def test_budgets_and_swaps_contradict_each_other():
    with pytest.raises(InvalidArgumentError, match="leave one of them out"):
        QuantizationConfig(quant_type="int4", bits_budget=4.0, on_failure="swap")
