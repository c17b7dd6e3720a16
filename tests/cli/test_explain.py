"""explain on a tiny model folder."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.usefixtures("words")


@pytest.fixture
def model(call, source):
    assert call("quantize", "--input", source, "--output", "q", "--seed", "9").code == 0
    return "q"


def test_a_line_for_each_tensor_then_totals_then_the_certificate(call, model):
    outcome = call("explain", model)
    assert outcome.code == 0, outcome.stderr
    first, tensors, totals, certificate = outcome.stdout.strip().split("\n\n")
    assert first == "q/weights.arrow (native)"
    assert [line.split()[-1] for line in tensors.splitlines()] == [
        "tensor",
        "embeddings.word_embeddings.weight",
        "encoder.layer.0.output.dense.weight",
    ]
    assert tensors.splitlines()[2].split()[:7] == ["24x48", "int8", "row", "fp32", "yes", "n16k4", "int16"]
    named = [line.split("  ")[0] for line in totals.splitlines()[1:]]
    assert named == ["all", "without embedding tables", "embeddings", "matrices"]
    rows = dict(line.split("  ", 1) for line in certificate.splitlines())
    assert rows["certificate"].strip().startswith("passed")
    assert rows["cosine_mean"].strip().endswith("(at least 0.999)")
    assert rows["method"].strip() == "ptq, seed 9"
    assert "NOT" not in rows["checked"]


def test_json(call, model):
    found = call("explain", model, "--json").json
    assert found["certificate"]["method"] == "ptq"
    assert len(found["tensors"]) == found["total"]["tensors"] == 2
    assert found["without_tables"]["tensors"] == 1


def test_an_original(call, source):
    outcome = call("explain", source)
    assert outcome.code == 0, outcome.stderr
    assert "no certificate" in outcome.stdout
    assert call("explain", source, "--json").json["certificate"] is None


def test_no_model(call):
    assert call("explain", "nowhere").code == 1
