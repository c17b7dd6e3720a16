"""`arrowmind mcp` as a process, and under the client that others use."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
import sys

import pytest
from tests.mcp.conftest import request, tool
from tests.memory.fake_encoder import FakeEncoder

from arrowmind.memory import MemoryStore

TEXT = "The key lies under the blue pot."


def lines(*messages):
    return b"".join(json.dumps(message).encode() + b"\n" for message in messages)


@pytest.fixture
def notes(tmp_path):
    with MemoryStore(tmp_path / "notes", FakeEncoder()) as store:
        store.remember(TEXT)
    return tmp_path / "notes"


def test_what_was_asked_before_the_end_is_answered(process, notes):
    done = process(lines(tool("recall", 1, text="blue key"), tool("forget", 2, ids=[1])), "--store", "notes")
    found, forgotten = (json.loads(line)["result"]["structuredContent"] for line in done.stdout.splitlines())
    assert found["memories"][0]["text"] == TEXT
    assert forgotten == {"forgotten": 1}
    assert done.returncode == 0


def test_without_a_model_it_says_how_to_remember(process):
    done = process(lines(tool("remember", 1, text=TEXT)), "--store", "new")
    result = json.loads(done.stdout)["result"]
    assert result["isError"]
    assert "without an engine" in result["content"][0]["text"]


def test_the_output_is_messages_alone(process, notes):
    done = process(lines(request("ping", 1), tool("recall", 2, text="key")), "--store", "notes", "-vv")
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == [1, 2]


def test_no_store_to_read(process):
    done = process(b"", "--store", "none", "--read-only")
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"no memory store" in done.stderr


def test_who_the_agent_is(process, tmp_path):
    with MemoryStore(tmp_path / "roles", FakeEncoder()) as store:
        for name in ("anna", "bert"):
            store.remember(f"the key of {name}", namespace=name)
    rules = ("--set", "privacy.roles=anna writer anna,bert reader bert")
    asked = [tool("recall", place, text="key", namespace=name) for place, name in enumerate(("anna", "bert"))]
    asked += [tool("get", 2, id=1), tool("get", 3, id=2), tool("forget", 4, ids=[1, 2])]
    done = process(lines(*asked), "--store", "roles", "--principal", "anna", *rules)
    own, foreign, mine, other, gone = (json.loads(line)["result"] for line in done.stdout.splitlines())
    assert [one["id"] for one in own["structuredContent"]["memories"]] == [1]
    assert foreign["isError"]
    assert "'anna' may not recall" in foreign["content"][0]["text"]
    assert mine["structuredContent"]["text"] == "the key of anna"
    assert other["isError"]
    assert "there is no memory 2" in other["content"][0]["text"]
    assert gone["structuredContent"] == {"forgotten": 1}


@contextlib.contextmanager
def talking(environment, notes):
    """A process that has answered a first ping."""
    command = [sys.executable, "-m", "arrowmind", "mcp", "--words-only", "--store", str(notes)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    ) as process:
        process.stdin.write(lines(request("ping", 1)))
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["id"] == 1
        yield process


def test_a_client_that_goes_away(environment, notes):
    with talking(environment, notes) as process:
        process.stdout.close()
        process.stdin.write(lines(request("ping", 2), request("ping", 3)))
        process.stdin.close()
        assert process.wait(30) == 0
        assert process.stderr.read() == b""


def test_an_interrupt_ends_it_once_the_request_that_runs_is_done(environment, notes):
    with talking(environment, notes) as process:
        process.stdin.write(lines(*(tool("recall", number, text="key") for number in range(2, 100))))
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["id"] == 2
        process.send_signal(signal.SIGINT)
        answered = process.stdout.read().splitlines()
        assert process.wait(30) == 130
        assert [json.loads(line)["id"] for line in answered] == list(range(3, 3 + len(answered)))
        assert b"Traceback" not in process.stderr.read()


@pytest.mark.parametrize("mode", ["legacy", "auto", "2026-07-28"])
def test_with_the_real_client(tmp_path, environment, notes, mode):
    client_of = pytest.importorskip("mcp.client.client", reason="no real client: pip install mcp")
    from mcp import MCPError, StdioServerParameters

    words = ["-m", "arrowmind", "mcp", "--words-only", "--store", str(notes)]
    server = StdioServerParameters(command=sys.executable, args=words, env=environment, cwd=str(tmp_path))

    async def talk():
        async with client_of.Client(server, mode=mode) as client:
            assert client.protocol_version == ("2025-11-25" if mode == "legacy" else "2026-07-28")
            tools = {one.name: one for one in (await client.list_tools()).tools}
            assert list(tools) == ["remember", "recall", "recall_episodes", "get", "forget", "stats"]
            assert tools["forget"].annotations.destructive_hint
            found = await client.call_tool("recall", {"text": "where is the key?", "top_k": 1})
            (memory,) = found.structured_content["memories"]
            assert (memory["text"], memory["origin"], memory["trust"]) == (TEXT, "user", 1.0)
            wrong = await client.call_tool("recall", {"text": "key", "since": "yesterday"})
            assert wrong.is_error
            listed = (await client.list_resources()).resources
            assert [str(one.uri) for one in listed] == [memory["uri"]]
            read = (await client.read_resource(memory["uri"])).contents[0]
            assert json.loads(read.text)["text"] == TEXT
            templates = (await client.list_resource_templates()).resource_templates
            assert templates[0].uri_template == "memory://{id}"
            with pytest.raises(MCPError):
                await client.read_resource("memory://99")
            forgotten = await client.call_tool("forget", {"ids": [memory["id"]]})
            assert forgotten.structured_content == {"forgotten": 1}

    asyncio.run(asyncio.wait_for(talk(), 60))
