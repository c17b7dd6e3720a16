"""What the engine takes from the configuration, and what wins over it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.reference import folder

from arrowmind import ArrowEngine, _native
from arrowmind.config import load_config
from arrowmind.errors import ConfigurationError, DeviceError, WeightError
from arrowmind.weights import convert_model


@pytest.fixture(autouse=True)
def no_backends(tmp_path_factory, monkeypatch):
    """The same on every machine, whatever back ends were built and whatever devices it has."""
    monkeypatch.setenv("ARROWMIND_DEVICE_BACKENDS", str(tmp_path_factory.mktemp("backends")))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "tiny"
    convert_model(folder.write(path.parent / "original", folder.weights()), path)
    return path


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write(text):
    Path("arrowmind.yaml").write_text(text)


def test_argument_over_environment_over_file_over_default(model, monkeypatch):
    write("device: {threads: 3}")
    assert ArrowEngine(model).info()["threads"] == 3
    monkeypatch.setenv("ARROWMIND_DEVICE_THREADS", "2")
    assert ArrowEngine(model).info()["threads"] == 2
    assert ArrowEngine(model, threads=1).info()["threads"] == 1


def test_the_default_is_every_processor(model):
    assert ArrowEngine(model).info()["threads"] == _native.available_cpus()


def test_the_model_path(model, monkeypatch):
    with pytest.raises(WeightError, match="models/minilm-int8 is not a folder"):
        ArrowEngine()
    write(f"model: {{path: {model}}}")
    assert ArrowEngine().info()["path"] == str(model)
    monkeypatch.setenv("ARROWMIND_MODEL_PATH", "elsewhere")
    with pytest.raises(WeightError, match="elsewhere"):
        ArrowEngine()
    assert ArrowEngine(model).info()["path"] == str(model)


def test_the_device(model, monkeypatch):
    write("device: {name: cuda, fallback: error}")
    with pytest.raises(DeviceError, match="'cuda' cannot be had"):
        ArrowEngine(model)
    assert ArrowEngine(model, device="cpu").device == "cpu"
    assert ArrowEngine(model, device="auto").device == "cpu"
    monkeypatch.setenv("ARROWMIND_DEVICE", "cpu")
    assert ArrowEngine(model).device == "cpu"


@pytest.mark.parametrize("given", [{"device": "cuda"}, {}])
def test_the_fallback_is_told(model, monkeypatch, caplog, given):
    monkeypatch.setenv("ARROWMIND_DEVICE", "auto" if given else "cuda")
    assert ArrowEngine(model, **given).device == "cpu"
    assert "cuda: this build has no back end for it" in caplog.text


def test_a_device_nobody_knows_never_falls_back(model):
    with pytest.raises(DeviceError, match="unknown"):
        ArrowEngine(model, device="gpu")


def test_a_given_configuration_is_used_as_it_is(model, monkeypatch):
    monkeypatch.setenv("ARROWMIND_DEVICE_THREADS", "2")
    config = load_config(overrides={"device.threads": 3, "model.path": str(model)})
    assert ArrowEngine(config=config).info()["threads"] == 3


def test_an_invalid_value_is_logged_and_the_default_used(model, monkeypatch, caplog):
    write("device: {threads: 3}")
    monkeypatch.setenv("ARROWMIND_DEVICE_THREADS", "many")
    assert ArrowEngine(model).info()["threads"] == 3
    assert "device.threads = 'many'" in caplog.text
    monkeypatch.setenv("ARROWMIND_CONFIG", "not-there.yaml")
    with pytest.raises(ConfigurationError, match="not-there"):
        ArrowEngine(model)
