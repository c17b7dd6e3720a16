"""quantize and validate on a tiny model folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.usefixtures("words")


def quantize(call, source, *options):
    words = ("quantize", "--input", source, "--output", "q", "--quant-type", "int8", "--calibration", "ptq")
    return call(*words, *options)


def test_quantize(call, source):
    outcome = quantize(call, source, "--json")
    assert outcome.code == 0, outcome.stderr
    assert outcome.json["verdict"] == "passed"
    assert outcome.json["bytes"] < outcome.json["reference_bytes"]
    assert call("verify", "q").code == 0
    assert "precision check: passed" in quantize(call, source, "--force").stdout


def test_quantize_takes_its_choices_from_options_and_settings(call, source):
    from arrowmind.weights import open_weights

    Path("texts").write_text("one\ntwo\n")
    options = ["--symmetric", "--activation", "int16", "--keep", "*.output.dense", "--check-texts", "texts"]
    outcome = quantize(call, source, *options, "--set", "quantization.keep_type=fp32", "--json")
    assert outcome.json["texts"] == 2
    with open_weights("q") as weights:
        chosen = weights.documents["quantization"]
        assert weights.spec("encoder.layer.0.output.dense.weight").quant_type == "fp32"
    assert (chosen["symmetric"], chosen["activation"]) == (True, "int16")


def test_a_result_below_the_threshold_is_refused(call, source, monkeypatch):
    from arrowmind.cli import engines

    def encode(self, texts, normalize=True, show_progress=False):
        of_result = self.path.endswith(".building")
        return np.array([[0, 1] if of_result else [1, 0]] * len(texts), np.float32)

    monkeypatch.setattr(engines.ArrowEngine, "encode", encode)
    outcome = quantize(call, source, "--json")
    assert outcome.code == 1
    assert outcome.json["error"]["type"] == "PrecisionError"
    assert not Path("q").exists()


@pytest.mark.parametrize(
    "options", [["--quant-type", "int3"], ["--activation", "x"], ["--calibration", "awq"]]
)
def test_unknown_choices(call, source, options):
    outcome = call("quantize", "--input", source, "--output", "q", *options)
    assert outcome.code == 1
    assert "use" in outcome.stderr


def test_the_settings_have_the_defaults_of_the_quantiser():
    from arrowmind.cli.quantizing import CheckOptions, configuration
    from arrowmind.config import Config
    from arrowmind.quantize import QuantizationConfig

    assert configuration(Config()) == QuantizationConfig()
    assert configuration(Config(), CheckOptions(swap=True)).on_failure == "swap"


def test_every_choice_of_the_quantiser_is_an_option_or_a_threshold():
    from dataclasses import fields

    from arrowmind.cli import quantizing
    from arrowmind.quantize import QuantizationConfig, Thresholds

    groups = (
        quantizing.CodeOptions,
        quantizing.MethodOptions,
        quantizing.BudgetOptions,
        quantizing.CheckOptions,
    )
    named = [item.name for group in (*groups, Thresholds) for item in fields(group)]
    options = ["on_failure" if name == "swap" else name for name in named]
    assert sorted(options) == sorted(item.name for item in fields(QuantizationConfig))


def test_options_reach_the_configuration(call, source):
    from arrowmind.weights import open_weights

    words = "--damping 0.05 --sweeps 1 --smoothing 0.25 --per-tensor --no-range-search --keep-type fp32"
    low = [f"--set=precision.{name}=0" for name in ("cosine_mean", "cosine_min", "overlap_at_10")]
    assert quantize(call, source, *words.split(), *low).code == 0
    with open_weights("q") as weights:
        chosen = weights.documents["quantization"]
    assert (chosen["damping"], chosen["sweeps"], chosen["smoothing"]) == (0.05, 1, 0.25)
    assert (chosen["per_channel"], chosen["range_search"], chosen["keep_type"]) == (False, False, "fp32")
    assert chosen["cosine_mean"] == 0


def test_validate(call, source):
    quantize(call, source)
    outcome = call("validate", source, "q", "--json")
    assert (outcome.code, outcome.json["verdict"]) == (0, "passed")
    outcome = call(
        "validate", source, "q", "--set", "precision.cosine_min=1", "--set", "precision.cosine_mean=1"
    )
    assert "precision check" in outcome.stdout
    assert call("validate", source, "nowhere").code == 1
