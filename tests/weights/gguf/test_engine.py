"""An encoder that went through GGUF encodes as the original does."""

from __future__ import annotations

import numpy as np
import pytest

from arrowmind import ArrowEngine
from arrowmind.weights import convert_model

TEXTS = ["A cat sits on the mat.", "The stock market fell today.", "Grüße aus Köln!", "", "cat"]
LEAST = {"gguf": 1 - 1e-6, "gguf-f16": 1 - 1e-5, "gguf-q8_0": 0.998, "gguf-q4_0": 0.9}


@pytest.fixture(scope="module")
def expected(minilm_source, tmp_path_factory):
    place = tmp_path_factory.mktemp("original") / "model"
    convert_model(minilm_source, place)
    return ArrowEngine(place, threads=2).encode(TEXTS)


@pytest.mark.parametrize("name", LEAST)
def test_embeddings(name, expected, minilm_source, tmp_path):
    convert_model(minilm_source, tmp_path / "out", formats=[name])
    convert_model(tmp_path / "out" / "model.gguf", tmp_path / "back")
    found = ArrowEngine(tmp_path / "back", threads=2).encode(TEXTS)
    cosines = (found * expected).sum(axis=1)
    print(name, cosines)
    assert cosines.min() >= LEAST[name]
    assert np.isfinite(found).all()
