"""Weights are on their way before anything is imported for them."""

from __future__ import annotations

import subprocess
import sys

import pytest
from tests.engine import decoders

from arrowmind import ArrowEngine, _native
from arrowmind.config import load_config
from arrowmind.engine import early_reading
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


@pytest.mark.parametrize(("ram", "bounded"), [(None, False), ("1GiB", True)])
def test_an_engine_asks_for_its_weights_first(model, monkeypatch, ram, bounded):
    asked = []
    monkeypatch.setattr(_native, "read_for_opening", lambda *given: asked.append(given))
    ArrowEngine(model, ram=ram).close()
    assert asked == [(bytes(model / "weights.arrow"), bounded)]


def test_what_is_not_compared_is_not_read(model, monkeypatch):
    monkeypatch.setattr(_native, "read_for_opening", lambda *_: pytest.fail("it was read"))
    monkeypatch.setenv("ARROWMIND_WEIGHTS_VERIFY", "off")
    ArrowEngine(model, config=load_config()).close()


def test_a_folder_without_weights_is_for_its_opener_to_tell(tmp_path):
    early_reading.read_early(tmp_path, bounded=True).join()
    early_reading.read_early(tmp_path / "a\0b", bounded=True).join()
