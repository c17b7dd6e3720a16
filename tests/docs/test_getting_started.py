"""The first page of the guide does what it says, from a Hugging Face folder to a recalled memory."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys

import pytest
from tests.docs.pages import ROOT, blocks

PAGE = "docs/guide/getting-started.md"


@pytest.fixture
def shell(tmp_path, monkeypatch):
    """Runs a block as bash does, in an empty folder, with `arrowmind` and `python` those of this test."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, words in (("arrowmind", "-m arrowmind"), ("python", "")):
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
        (programs / name).chmod(0o755)
    (tmp_path / "place").mkdir()
    monkeypatch.chdir(tmp_path / "place")
    package = os.pathsep.join([str(ROOT / "python"), os.environ.get("PYTHONPATH", "")])
    env = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": package}

    def run(script):
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            env=env,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, f"{script}\n{done.stderr}"
        return done.stdout

    return run


@pytest.mark.slow
def test_every_block_in_order(shell, tmp_path, minilm_source):
    names, printed = {}, ""
    for language, body in blocks(PAGE):
        if language == "sh":
            printed = shell(body)
        elif language == "python":
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(compile(body, PAGE, "exec"), names)
            printed = out.getvalue()
        elif language == "yaml":
            (tmp_path / "place" / "arrowmind.yaml").write_text(body)
        elif language == "output":
            assert body in printed
    assert (tmp_path / "place" / "vectors.npy").stat().st_size > 2 * 384 * 4
    assert "models/minilm-int8" in printed  # the last block shows the settings
