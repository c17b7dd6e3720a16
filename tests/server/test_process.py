"""`arrowmind serve` as a process: it starts, answers, and ends well when told to."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from tests.engine.writers import write_bytes_model

from arrowmind.cli.main import run as main

PACKAGE = Path(__file__).parents[2] / "python"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_bytes_model(tmp_path_factory.mktemp("models") / "bytes")


@pytest.fixture
def start(tmp_path):
    started = []

    def run(*words, **more):
        env = {**os.environ, "PYTHONPATH": str(PACKAGE), **more}
        process = subprocess.Popen(
            [sys.executable, "-m", "arrowmind", "serve", *words, "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=env,
            cwd=tmp_path,
            text=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def ask(address, body, key=None):
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
    request = urllib.request.Request(f"{address}/v1/completions", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=60) as response:
        return response.read().decode()


def test_running_answers_end_before_the_server_does(start, folder):
    process = start(f"mine={folder}", "--port", "0", "--max-streams", "4")
    address = json.loads(process.stdout.readline())["address"]
    body = {"model": "mine", "prompt": "x", "max_tokens": 150, "ignore_eos": True, "stream": True, "seed": 1}
    expected = ask(address, body)
    found = []
    asking = threading.Thread(target=lambda: found.append(ask(address, body)))
    with urllib.request.urlopen(f"{address}/health", timeout=60) as response:
        assert json.load(response)["status"] == "ready"
    asking.start()
    request = urllib.request.Request(f"{address}/health")
    for _ in range(2000):
        with urllib.request.urlopen(request, timeout=60) as response:
            if json.load(response)["running"]:
                break
    process.send_signal(signal.SIGTERM)
    asking.join(60)
    assert process.wait(60) == 0
    assert len(found) == 1
    assert found[0].count("data: ") == expected.count("data: ")
    assert found[0].endswith("data: [DONE]\n\n")


def test_the_grace_has_an_end(start, folder, tmp_path):
    words = ["--set", "server.grace_seconds=0", "--set", "server.max_tokens=100000"]
    process = start(str(folder), "--port", "0", *words)
    json.loads(process.stdout.readline())
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0


def test_keys_from_the_environment(start, folder):
    process = start(f"mine={folder}", "--port", "0", ARROWMIND_API_KEY="first-key,second-key")
    address = json.loads(process.stdout.readline())["address"]
    body = {"model": "mine", "prompt": "x", "max_tokens": 1}
    with pytest.raises(urllib.error.HTTPError, match="401"):
        ask(address, body)
    assert "choices" in ask(address, body, "second-key")
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0


@pytest.fixture
def refused(folder, tmp_path, monkeypatch, capsys):
    """What `arrowmind serve` says, in this process, that cannot begin."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        assert main(["serve", *words]) == 1
        return capsys.readouterr().err

    return run


def test_a_key_file_that_others_can_read_or_without_keys(refused, folder, tmp_path):
    keys = tmp_path / "keys"
    keys.write_text("a-key-from-a-file\n")
    keys.chmod(0o644)
    assert "chmod 600" in refused(str(folder), "--api-key-file", "keys")
    keys.chmod(0o600)
    keys.write_text("\n")
    assert "holds no API key" in refused(str(folder), "--api-key-file", "keys")
    keys.write_text("short")
    assert "fewer than 8" in refused(str(folder), "--api-key-file", "keys")
    assert "cannot be read" in refused(str(folder), "--api-key-file", "none")


def test_a_port_that_is_taken(refused, folder):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"cannot listen on 127.0.0.1:{port}" in refused(str(folder), "--port", str(port))
    assert "cannot listen on" in refused(str(folder), "--host", "no.such.host.invalid")


def test_models_that_cannot_be_served(refused, folder):
    assert "nothing is not a folder" in refused("nothing")
    assert "two models have the name 'bytes'" in refused(str(folder), f"bytes={folder}")


def test_without_the_extra(refused, folder, monkeypatch):
    for name in [name for name in sys.modules if name.startswith(("arrowmind.server", "starlette"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "arrowmind.cli.commands.serve", raising=False)
    monkeypatch.setitem(sys.modules, "starlette", None)
    assert "pip install 'arrowmind[serve]'" in refused(str(folder))
