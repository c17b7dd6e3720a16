"""The examples of the guide to language models do what it says, with stories260K."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shlex
import shutil
import subprocess

import pytest
from tests.docs.pages import blocks, table_rows
from tests.server.conftest import Encoder, listening

from arrowmind import ArrowEngine
from arrowmind.cli.main import run

PAGE = "docs/guide/language-models.md"
PORT = "127.0.0.1:8000"


@pytest.fixture
def place(tmp_path, shared_data, monkeypatch):
    """An empty folder with the model's file."""
    source = shared_data / "stories260K" / "stories260K.gguf"
    if not source.is_file():
        pytest.skip(f"no {source}: set ARROWMIND_TEST_DATA to the folder that holds stories260K")
    monkeypatch.chdir(tmp_path)
    shutil.copyfile(source, "stories260K.gguf")
    return tmp_path


def test_every_block_in_order(place, capsys):
    pytest.importorskip("openai")
    pytest.importorskip("llguidance")
    names, printed = {}, ""
    with contextlib.ExitStack() as stack:
        address = PORT
        for language, body in blocks(PAGE):
            if language == "output":
                assert printed == body
            elif language == "python":
                out = io.StringIO()
                with contextlib.redirect_stdout(out):
                    exec(compile(body.replace(PORT, address), PAGE, "exec"), names)
                printed = out.getvalue()
            elif "arrowmind serve" in body:
                engines = {"story": ArrowEngine("models/story"), "minilm-int8": Encoder()}
                address = stack.enter_context(listening(engines)).removeprefix("http://")
            elif "curl" in body:
                ask(body.replace(PORT, address))
            else:
                shell(body)
        names["client"].close()
    assert "Lily" in capsys.readouterr().out


def shell(body):
    for line in body.splitlines():
        program, *words = shlex.split(line)
        assert program == "arrowmind"
        assert run(words) == 0


def ask(body):
    if shutil.which("curl") is None:
        return
    done = subprocess.run(
        ["bash", "-c", body],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={**os.environ, "no_proxy": "*"},
    )
    answer = json.loads(done.stdout)
    assert answer["choices"][0]["text"].startswith(", there was")


def test_the_table_of_profiles_is_that_of_the_settings():
    from arrowmind.config import PROFILES, profile_values

    rows = table_rows(PAGE, "More model than memory")
    values = [profile_values(name) for name in PROFILES]
    found = [[cell.strip("`") for cell in row] for row in rows if len(row) == 1 + len(PROFILES)]
    found = [[row[0].split("`")[0], *row[1:]] for row in found]
    assert found == [[key, *(str(one[key]).lower() for one in values)] for key in values[0]]
