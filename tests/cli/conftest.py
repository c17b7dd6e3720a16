from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import typer.testing
from safetensors.numpy import save_file

from arrowmind.cli.app import arrange, build_app

PACKAGE = Path(__file__).parents[2] / "python"


@pytest.fixture(autouse=True)
def quiet_place(tmp_path, monkeypatch):
    """Every test runs in an empty folder, without settings of the user, and leaves logging as it was."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    for name in list(os.environ):
        if name.startswith("ARROWMIND_") and name not in ("ARROWMIND_TEST_DATA", "ARROWMIND_MAX_ISA"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("ARROWMIND_MAX_ISA", os.environ.get("ARROWMIND_MAX_ISA", ""))
    monkeypatch.setenv("ARROWMIND_KERNEL", "")
    root = logging.getLogger("arrowmind")
    handlers, level, propagate = list(root.handlers), root.level, root.propagate
    yield
    root.handlers[:], root.propagate = handlers, propagate
    root.setLevel(level)
    native = sys.modules.get("arrowmind._native")
    if native is not None:
        monkeypatch.undo()
        native.reload_environment()


class WordEngine:
    """A stand-in for the engine: texts that share words are near each other."""

    opened: ClassVar[list[WordEngine]] = []
    dimension = 64
    fingerprint = "words"
    is_decoder = has_senses = False

    def __init__(
        self,
        path,
        device="auto",
        threads=None,
        config=None,
        judge=True,
        ram=None,
        vram=None,
        on_progress=None,
    ):
        self.path, self.device, self.threads = str(path), device, threads
        self.ram, self.vram = ram, vram
        WordEngine.opened.append(self)

    def encode(self, texts, normalize=True, show_progress=False):
        vectors = np.array([self._vector(text) for text in texts], np.float32).reshape(-1, self.dimension)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True) if normalize else vectors

    def windows(self, text, max_tokens=256):
        return [text]

    def _vector(self, text):
        vector = np.full(self.dimension, 0.01)
        for word in text.lower().split():
            vector[zlib.crc32(word.encode("utf-8", "replace")) % self.dimension] += 1
        return vector


@pytest.fixture
def words(monkeypatch):
    """Commands in this process use `WordEngine`; gives the engines that were opened."""
    monkeypatch.setattr("arrowmind.cli.engines.ArrowEngine", WordEngine)
    monkeypatch.setattr("arrowmind.cli.engines.observe_inputs", lambda _folder, _texts: [])
    WordEngine.opened.clear()
    return WordEngine.opened


@dataclass
class Outcome:
    code: int
    stdout: str
    stderr: str

    @property
    def json(self):
        return json.loads(self.stdout)


@pytest.fixture
def call():
    """Runs a command in this process."""

    def run(*words, stdin=None):
        command, arranged = arrange(words)
        result = typer.testing.CliRunner().invoke(build_app(command), arranged, input=stdin)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Outcome(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture
def shell():
    """Runs a command in a process of its own."""

    def run(*words, stdin=None, env=None, code=None):
        program = [sys.executable, "-m", "arrowmind"] if code is None else [sys.executable, "-c", code]
        path = os.pathsep.join([str(PACKAGE), *filter(None, [os.environ.get("PYTHONPATH")])])
        done = subprocess.run(
            [*program, *words],
            input=stdin,
            capture_output=True,
            env={**os.environ, "PYTHONPATH": path, **(env or {})},
            timeout=120,
            check=False,
        )
        return Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())

    return run


@pytest.fixture
def source(tmp_path):
    """A Hugging Face folder of the BERT kind, too small for anything but conversion."""
    print("seed 7")
    random = np.random.default_rng(7)
    folder = tmp_path / "original"
    folder.mkdir()
    shapes = {"embeddings.word_embeddings.weight": (37, 24), "encoder.layer.0.output.dense.weight": (24, 48)}
    tensors = {name: random.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    save_file(tensors, folder / "model.safetensors")
    config = {"model_type": "bert", "hidden_size": 24, "max_position_embeddings": 20}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text("{}")
    return str(folder)
