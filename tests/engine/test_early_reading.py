"""Weights are on their way before anything is imported for them."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import ClassVar

import numpy as np
import pytest
from tests.engine import decoders

from arrowmind import ArrowEngine, _native
from arrowmind.config import load_config
from arrowmind.engine import early_reading
from arrowmind.engine.folder import ModelFolder
from arrowmind.errors import WeightError
from arrowmind.weights import convert_model

SEED = 77


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("early")
    decoders.write_family(folder / "hf", "llama", SEED)
    convert_model(folder / "hf", folder / "model")
    return folder / "model"


def test_the_class_is_had_without_what_opening_needs():
    """A path is known before NumPy is imported, which takes as long as a disk takes for 150 MB."""
    script = (
        "import sys; from arrowmind import ArrowEngine; "
        "print([name for name in ('numpy', 'tokenizers', 'arrowmind.weights') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


class Spy:
    """Instead of the native one; opens nothing."""

    asked: ClassVar[list[tuple[object, ...]]] = []

    def __init__(self, *given):
        self.asked.append(given)

    def read(self):
        return []

    def opened(self):
        return None


@pytest.fixture
def asked(monkeypatch):
    monkeypatch.setattr(_native, "EarlyWeights", Spy)
    monkeypatch.setattr(Spy, "asked", [])
    return lambda: Spy.asked


@pytest.mark.parametrize(("verify", "hashed"), [("first_touch", True), ("off", False)])
def test_within_a_budget_weights_are_asked_for_first(model, asked, monkeypatch, verify, hashed):
    monkeypatch.setenv("ARROWMIND_WEIGHTS_VERIFY", verify)
    ArrowEngine(model, config=load_config(), ram="1TiB").close()
    assert asked() == [(bytes(model / "weights.arrow"), hashed)]


def test_without_a_budget_all_is_read_as_before(model, asked):
    ArrowEngine(model).close()
    assert asked() == []


def test_a_model_says_the_same_read_early_or_not(model, monkeypatch):
    with_it = ArrowEngine(model, ram="1TiB").logits([3, 4, 5])
    monkeypatch.setattr("arrowmind.engine.engine.read_early", lambda *_, **__: None)
    np.testing.assert_array_equal(ArrowEngine(model, ram="1TiB").logits([3, 4, 5]), with_it)


def test_a_folder_without_weights_is_for_its_opener_to_tell(tmp_path):
    assert early_reading.read_early(tmp_path, hashed=True) is None
    with pytest.raises(WeightError, match="holds no weights"):
        ModelFolder(convertless(tmp_path))


def convertless(folder):
    (folder / "config.json").write_text("{}")
    return folder


def test_without_threads_nothing_is_read_early(model, monkeypatch):
    def refuse(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert early_reading.read_early(model, hashed=True) is None
