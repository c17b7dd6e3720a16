"""Models and devices that tests of engines share."""

from __future__ import annotations

import pytest
from tests.device.fake import BACKENDS, Fake, install
from tests.device.machine import open_or_skip
from tests.engine import decoders
from tests.engine.placed import SEED, TEXTS
from tests.engine.writers import write_bytes_model
from tests.reference import folder as encoder_folder

from arrowmind import ArrowEngine
from arrowmind.engine import device_pauses
from arrowmind.engine.device_probe import BACKENDS_VARIABLE
from arrowmind.engine.folder import ModelFolder
from arrowmind.weights import convert_model

_ON_HOST = {"cuda": "gpu_on_host", "mps": "metal_on_host"}


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """Folder of a small encoder."""
    path = tmp_path_factory.mktemp("models")
    convert_model(encoder_folder.write(path / "original", encoder_folder.weights()), path / "tiny")
    return path / "tiny"


@pytest.fixture(scope="module")
def encoded(encoder):
    """What it makes of `TEXTS` on the CPU."""
    return ArrowEngine(encoder, device="cpu", threads=2).encode(TEXTS)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Small decoders by the names of their families, made once."""
    made = {}

    def folder(name):
        if name not in made:
            root = tmp_path_factory.mktemp(name)
            source, _, _ = decoders.write_family(root / "hf", name, SEED)
            convert_model(source, root / "model")
            made[name] = ModelFolder(root / "model")
        return made[name]

    return folder


@pytest.fixture(scope="module")
def bytes_model(tmp_path_factory):
    """Folder of a small decoder of bytes."""
    return write_bytes_model(tmp_path_factory.mktemp("models") / "bytes")


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """A device in place of cuda; it is tried again at once after a failure."""
    monkeypatch.setenv(BACKENDS_VARIABLE, str(tmp_path))
    monkeypatch.setattr(device_pauses, "_FIRST_REST_SECONDS", 0.0)
    return Fake(tmp_path)


@pytest.fixture(scope="module", params=["vulkan", "cuda", "mps"])
def other(request, tmp_path_factory):
    """A device with kernels of its own: what this machine has, and those of CUDA and Metal on its threads."""
    with pytest.MonkeyPatch.context() as patch:
        backend = _ON_HOST.get(request.param)
        if backend is not None and (BACKENDS / f"{backend}.so").is_file():
            place = tmp_path_factory.mktemp(request.param)
            install(backend, place, request.param)
            patch.setenv(BACKENDS_VARIABLE, str(place))
        else:
            open_or_skip(request.param)
        yield request.param
