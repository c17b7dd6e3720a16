from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tests.memory.fake_encoder import FakeEncoder

from arrowmind.faces import MemoryDesk
from arrowmind.mcp import Protocol, serve
from arrowmind.memory import MemoryStore

PACKAGE = Path(__file__).parents[2] / "python"
MOST_BYTES = 1 << 16


@pytest.fixture
def store(tmp_path):
    with MemoryStore(tmp_path / "store", FakeEncoder()) as opened:
        yield opened


@pytest.fixture
def ask(store):
    """Answers to lines, in order, of a server that reads them and their end."""

    def run(*lines, desk=None):
        raw = [line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n" for line in lines]
        written = io.BytesIO()
        protocol = Protocol(desk or MemoryDesk(store, origin="agent"))
        serve(protocol, io.BytesIO(b"".join(raw)), written, MOST_BYTES)
        return [json.loads(line) for line in written.getvalue().splitlines()]

    return run


def request(method, id_=1, **params):
    return {"jsonrpc": "2.0", "id": id_, "method": method, "params": params}


def tool(name, id_=1, **arguments):
    return request("tools/call", id_, name=name, arguments=arguments)


@contextlib.contextmanager
def piped(protocol):
    """A server in a thread; gives a function that writes a line and one that reads one."""
    there, back = os.pipe(), os.pipe()
    with (
        os.fdopen(there[0], "rb") as reading,
        os.fdopen(there[1], "wb", buffering=0) as ours,
        os.fdopen(back[0], "rb") as theirs,
        os.fdopen(back[1], "wb") as writing,
    ):
        thread = threading.Thread(target=serve, args=(protocol, reading, writing, MOST_BYTES))
        thread.start()
        try:
            yield (
                lambda line: ours.write(json.dumps(line).encode() + b"\n"),
                lambda: json.loads(theirs.readline()),
            )
        finally:
            ours.close()
            thread.join(30)
            assert not thread.is_alive()


@pytest.fixture
def environment(tmp_path):
    """Of a process that runs the command line of this checkout."""
    path = os.pathsep.join([str(PACKAGE), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path, "XDG_CONFIG_HOME": str(tmp_path / "none")}


@pytest.fixture
def process(tmp_path, environment):
    """Runs `arrowmind mcp` over the bytes of its input."""

    def run(data, *words):
        command = [sys.executable, "-m", "arrowmind", "mcp", "--words-only", *words]
        return subprocess.run(
            command, input=data, capture_output=True, env=environment, cwd=tmp_path, timeout=60, check=False
        )

    return run
