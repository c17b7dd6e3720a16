"""`arrowmind serve` as a process: it starts, answers, and ends well when told to."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from tests.engine.writers import write_bytes_model

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


def test_keys_from_the_environment_and_from_a_file(start, folder, tmp_path):
    process = start(f"mine={folder}", "--port", "0", ARROWMIND_API_KEY="first-key,second-key")
    address = json.loads(process.stdout.readline())["address"]
    body = {"model": "mine", "prompt": "x", "max_tokens": 1}
    with pytest.raises(urllib.error.HTTPError, match="401"):
        ask(address, body)
    assert "choices" in ask(address, body, "second-key")
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    keys = tmp_path / "keys"
    keys.write_text("a-key-from-a-file\n")
    keys.chmod(0o644)
    refused = start(f"mine={folder}", "--port", "0", "--api-key-file", str(keys))
    assert refused.wait(60) == 1
    assert "chmod 600" in refused.stderr.read()


def test_a_port_that_is_taken(start, folder):
    process = start(f"mine={folder}", "--port", "0")
    port = json.loads(process.stdout.readline())["address"].rpartition(":")[2]
    other = start(f"mine={folder}", "--port", port)
    assert other.wait(60) == 1
    assert f"cannot listen on 127.0.0.1:{port}" in other.stderr.read()


def test_a_folder_that_is_not_there(start):
    process = start("nothing")
    assert process.wait(60) == 1
    assert "nothing is not a folder" in process.stderr.read()


def test_two_models_of_one_name(start, folder):
    process = start(str(folder), f"bytes={folder}")
    assert process.wait(60) == 1
    assert "two models have the name 'bytes'" in process.stderr.read()
