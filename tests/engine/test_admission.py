"""Which models the engine opens, by the precision report they carry."""

from __future__ import annotations

import json

import pytest
from tests.reference import folder

from arrowmind import ArrowEngine, ArrowQuantizer, QuantizationConfig
from arrowmind.config import load_config
from arrowmind.engine.admission import _keeps, _text
from arrowmind.errors import PrecisionError
from arrowmind.quantize import validate
from arrowmind.weights import convert_model, open_weights
from arrowmind.weights.writer import rewrite_documents

TEXTS = ["the cat sat on the mat.", "a dog", "the dog ran far away, and back!"]
LOW = {"cosine_mean": 0.5, "cosine_min": 0.5, "overlap_at_10": 0.0}


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def original(tmp_path):
    convert_model(folder.write(tmp_path / "source", folder.weights()), tmp_path / "original")
    return tmp_path / "original"


@pytest.fixture
def model(original, tmp_path):
    """A quantised model; its report is of a check."""
    ArrowQuantizer(QuantizationConfig(**LOW), texts=TEXTS).quantize(original, tmp_path / "model")
    return tmp_path / "model"


def report_of(model):
    with open_weights(model) as weights:
        return weights.precision


def rewrite(model, **changes):
    rewrite_documents(model / "weights.arrow", {"precision": {**report_of(model), **changes}})


def warnings(caplog):
    return [record for record in caplog.records if record.levelname == "WARNING"]


def test_a_model_that_passed_is_opened_without_a_word(model, caplog):
    assert report_of(model)["verdict"] == "passed"
    assert ArrowEngine(model).encode(TEXTS).shape == (3, ArrowEngine(model).dimension)
    assert warnings(caplog) == []


def test_a_refused_model_is_refused_with_figure_threshold_and_remedy(model):
    rewrite(model, verdict="refused", cosine_min=0.25, thresholds={"cosine_mean": 0.1, "cosine_min": 0.5})
    with pytest.raises(
        PrecisionError, match=r"model.*: cosine_min is 0.25, at least 0.5 was needed;.*precision.below"
    ):
        ArrowEngine(model)


def test_a_refused_model_may_be_used_with_a_warning(model, caplog, monkeypatch):
    rewrite(model, verdict="refused", cosine_min=0.25)
    monkeypatch.setenv("ARROWMIND_PRECISION_BELOW", "warn")
    for _ in range(2):
        ArrowEngine(model)
    assert len(warnings(caplog)) == 2
    assert "cosine_min is 0.25" in caplog.text


@pytest.mark.parametrize("name", ["cosine_mean", "cosine_min", "overlap_at_10"])
def test_thresholds_that_are_set_hold_for_models_that_passed(model, name):
    rewrite(model, **{name: 0.625})
    key = f"precision.{name}"
    ArrowEngine(model, config=load_config(overrides={key: 0.625}))
    with pytest.raises(PrecisionError, match=rf"{name} is 0.625, {key} \(argument\) asks for at least 0.63"):
        ArrowEngine(model, config=load_config(overrides={key: 0.63}))
    ArrowEngine(model, config=load_config(overrides={key: 0.63, "precision.below": "warn"}))


def test_defaults_are_not_asked_of_narrow_types(model):
    rewrite(model, cosine_mean=0.6, cosine_min=0.6, overlap_at_10=0.1)
    ArrowEngine(model)


@pytest.mark.parametrize("quant_type", ["int4", "int2", "fp4"])
def test_a_model_on_a_grid_of_unknown_precision_is_opened(original, tmp_path, caplog, quant_type):
    config = QuantizationConfig(quant_type=quant_type, cosine_mean=-1, cosine_min=-1, overlap_at_10=0)
    ArrowQuantizer(config, texts=TEXTS).quantize(original, tmp_path / "grid")
    rewrite_documents(tmp_path / "grid" / "weights.arrow", {"precision": {}})
    ArrowEngine(tmp_path / "grid")
    assert "quantised model of unknown precision" in caplog.text


@pytest.mark.parametrize("document", [{}, {"verdict": "not measured"}, {"verdict": ["passed"]}], ids=str)
def test_a_quantised_model_of_unknown_precision_is_told_of_once(model, caplog, document):
    rewrite_documents(model / "weights.arrow", {"precision": document})
    ArrowEngine(model)
    ArrowEngine(model)
    assert len(warnings(caplog)) == 1
    assert "quantised model of unknown precision" in caplog.text


def test_a_threshold_that_the_report_has_no_figure_for_is_told(model, caplog):
    rewrite(model, overlap_at_10=None)
    ArrowEngine(model, config=load_config(overrides={"precision.overlap_at_10": 0.9}))
    assert "lacks overlap_at_10" in caplog.text


@pytest.mark.parametrize("figure", [float("nan"), "high", [1], {}, 10**400, None], ids=lambda _: "")
def test_what_is_no_figure_does_not_reach_a_threshold(figure):
    assert not _keeps("cosine_mean", figure, 0.5)
    assert not _keeps("cosine_mean", 0.5, figure)
    assert _text(figure) == "no number"


@pytest.mark.parametrize("thresholds", [None, [], {}, {"cosine_mean": None}], ids=str)
def test_a_refusal_without_reasons_is_one(model, thresholds):
    rewrite(model, verdict="refused", thresholds=thresholds)
    with pytest.raises(PrecisionError, match=r"refused it|at least no number was needed"):
        ArrowEngine(model)


def test_floats_need_no_report(original, caplog):
    ArrowEngine(original, config=load_config(overrides={"precision.cosine_mean": 1.0}))
    assert warnings(caplog) == []


def test_who_measures_opens_anything(model, original, caplog):
    rewrite(model, verdict="refused", cosine_min=0.25)
    ArrowEngine(model, judge=False)
    report = validate(original, model, texts=TEXTS)
    assert report.cosine_min > 0.9
    assert warnings(caplog) == []
    json.dumps(report.to_dict())


def test_a_report_of_other_weights_is_refused(model, original, tmp_path, monkeypatch, caplog):
    ArrowQuantizer(QuantizationConfig(**LOW, symmetric=True), texts=TEXTS).quantize(original, tmp_path / "b")
    rewrite_documents(tmp_path / "b" / "weights.arrow", {"precision": report_of(model)})
    with pytest.raises(PrecisionError, match=r"report is of weights with the fingerprint .* copied"):
        ArrowEngine(tmp_path / "b")
    monkeypatch.setenv("ARROWMIND_PRECISION_BELOW", "warn")
    ArrowEngine(tmp_path / "b")
    assert "copied from another file" in caplog.text


def test_the_fingerprint_of_a_report_may_be_anything(model):
    rewrite(model, candidate=[1, 2])
    with pytest.raises(PrecisionError, match="fingerprint"):
        ArrowEngine(model)
    rewrite(model, candidate="")
    ArrowEngine(model)


def test_a_model_in_other_formats_keeps_its_report(model, tmp_path, caplog):
    convert_model(model, tmp_path / "parquet", formats=["parquet-v2"])
    ArrowEngine(tmp_path / "parquet")
    convert_model(model, tmp_path / "floats", quant_type="fp32")
    ArrowEngine(tmp_path / "floats")
    assert report_of(tmp_path / "parquet")["verdict"] == "passed"
    assert report_of(tmp_path / "floats") == {}
    assert warnings(caplog) == []


def test_tensors_that_were_made_wider_are_told_of(model, caplog):
    caplog.set_level("INFO", logger="arrowmind")
    rewrite(model, swapped={"a.weight": "int4 -> int8"})
    ArrowEngine(model)
    assert "int4 -> int8" in caplog.text
