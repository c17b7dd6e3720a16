from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer.testing

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
