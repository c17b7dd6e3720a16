"""`arrowmind memory browse` and `arrowmind serve --store` as processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from tests.engine.writers import write_bytes_model
from tests.memory.fake_encoder import FakeEncoder

from arrowmind.cli.main import run as main
from arrowmind.memory import MemoryStore

PACKAGE = Path(__file__).parents[2] / "python"


@pytest.fixture
def notes(tmp_path):
    with MemoryStore(tmp_path / "notes", FakeEncoder()) as store:
        store.remember("The key lies under the blue pot.")
    return tmp_path / "notes"


def test_browse(notes, tmp_path):
    words = ["memory", "browse", "--store", str(notes), "--words-only", "--json"]
    env = {**os.environ, "PYTHONPATH": str(PACKAGE)}
    process = subprocess.Popen(
        [sys.executable, "-m", "arrowmind", *words], stdout=subprocess.PIPE, env=env, cwd=tmp_path, text=True
    )
    try:
        address = json.loads(process.stdout.readline())["address"]
        with urllib.request.urlopen(address, timeout=60) as page:
            assert "<h1>Memories</h1>" in page.read().decode()
        with urllib.request.urlopen(f"{address}search?text=blue%20key", timeout=60) as found:
            assert [one["id"] for one in json.load(found)["memories"]] == [1]
        root = address.split("/", 3)
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen("/".join(root[:3]) + "/", timeout=60)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.communicate()


def test_browse_makes_no_store(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["memory", "browse", "--store", "none", "--words-only"]) == 1
    assert "no memory store" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_a_store_whose_encoder_is_not_served(notes, tmp_path_factory, monkeypatch, capsys):
    folder = write_bytes_model(tmp_path_factory.mktemp("models") / "bytes")
    assert main(["serve", str(folder), "--store", str(notes), "--port", "0"]) == 1
    assert "add it with --embedding-model" in capsys.readouterr().err
