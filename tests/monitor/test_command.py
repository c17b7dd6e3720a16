"""`arrowmind monitor` beside a real `arrowmind serve`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from arrowmind.cli.main import run
from tests.engine.writers import write_bytes_model

PACKAGE = Path(__file__).parents[2] / "python"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """Address and number of a server with a model of which parts come and go."""
    place = tmp_path_factory.mktemp("served")
    folder = write_bytes_model(place / "bytes")
    words = ["--port", "0", "--ram", "64GiB", "--set", "residency.max_layers=1", "--json"]
    process = subprocess.Popen(
        [sys.executable, "-m", "arrowmind", "serve", str(folder), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(PACKAGE)},
        cwd=place,
        text=True,
    )
    try:
        yield json.loads(process.stdout.readline())["address"], process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


def ask(address):
    body = {"model": "bytes", "prompt": "the cat", "max_tokens": 8}
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{address}/v1/completions", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.status == 200


def test_a_snapshot_of_a_real_server(served, capsys):
    address, pid = served
    ask(address)
    assert run(["monitor", address, str(pid), "--json", "--interval", "0.1"]) == 0
    by_address, by_process = json.loads(capsys.readouterr().out)["servers"]
    assert by_process["server"] == f"process {pid}"
    for found in (by_address, by_process):
        assert found["problem"] is None
        assert found["memory"] > 1 << 20
        assert found["requests"] >= 1
        (model,) = found["models"]
        assert model["name"] == "bytes"
        assert set(model["memory"]) == {"base", "kv_cache", "layers"}
        assert all(size > 0 for size in model["memory"].values())
        assert sum(model["memory"].values()) < model["budget"] == 64 << 30
        assert model["parts_kind"] == "layers"
        assert 0 < model["resident_parts"] <= model["parts"]
        assert model["hit_rate"] is not None
        assert model["evictions"] > 0
        assert model["foretold_tokens_per_second"] > 0
        assert model["last_tokens_per_second"] > 0
        assert model["tokens_per_second"] is not None
        assert model["disk_bytes_per_second"] is not None


def test_a_snapshot_for_people(served, capsys):
    assert run(["monitor", served[0], "--once", "--interval", "0.1"]) == 0
    out = capsys.readouterr().out
    assert "model bytes" in out
    assert "layers that come and go" in out


def test_nobody_to_watch_is_an_error(capsys):
    assert run(["monitor", "http://127.0.0.1:9", "--once", "--interval", "0.1"]) == 1
    assert "does not answer" in capsys.readouterr().err
    assert run(["monitor", "http://127.0.0.1:9"]) == 1  # tests have no terminal
    assert "needs a terminal" in capsys.readouterr().err
    assert run(["monitor", "a b"]) == 1
    assert "is no server" in capsys.readouterr().err
