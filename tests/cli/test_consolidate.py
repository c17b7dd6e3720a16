"""`arrowmind consolidate`: dry run, run, undo, daemon, and what cannot be asked for."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.cli.conftest import PACKAGE
from tests.consolidate.fake_server import FakeServer, sends

from arrowmind.consolidate.schedule import RecallGate
from arrowmind.memory.storage.recall_marks import RecallMark

TALK = ["the cat sleeps on the sofa", "the cat eats on the sofa", "the cat sits on the sofa all day"]
ANY = ("--min-access", "0", "--set", "consolidation.min_age_hours=0")


@pytest.fixture(autouse=True)
def polite(monkeypatch):
    """This process keeps its place."""
    monkeypatch.setattr("arrowmind.cli.commands.consolidate.give_way", list)


@pytest.fixture
def store(call, words):
    assert call("remember", *TALK, "--store", "s").code == 0
    time.sleep(0.01)
    return ("--store", "s")


def test_dry_run_run_and_undo(call, store):
    planned = call("consolidate", *store, *ANY, "--dry-run")
    assert planned.code == 0, planned.stderr
    assert "1 groups of 3 memories would be summarised by extractive" in planned.stdout
    assert "the cat sleeps" in planned.stdout
    assert not Path("s/consolidation.sqlite").exists()
    report = call("consolidate", *store, *ANY, "--json").json
    assert (report["derived"], report["sources"], report["stopped"]) == (1, 3, "")
    assert call("stats", *store, "--json").json["records"] == 4
    again = call("consolidate", *store, *ANY)
    assert "0 memories derived from 0 by extractive" in again.stdout
    undone = call("consolidate", *store, "--undo", "last")
    assert undone.stdout == f"run {report['run']}: 1 changes taken back\n"
    assert call("stats", *store, "--json").json["records"] == 3


@pytest.mark.parametrize(("is_recalled", "share"), [(True, 0.2), (False, 0.2), (True, 1.0)])
def test_it_rests_while_others_recall(call, store, monkeypatch, is_recalled, share):
    gates = []

    class Kept(RecallGate):
        def __init__(self, *given):
            super().__init__(*given)
            gates.append(self)

    monkeypatch.setattr("arrowmind.cli.commands.consolidate.RecallGate", Kept)
    mark = RecallMark(Path("s/recalls.lock"))
    with mark.under_way() if is_recalled else contextlib.nullcontext():
        done = call("consolidate", *store, *ANY, "--set", f"consolidation.least_share={share}", "--json")
    assert done.json["derived"] == 1
    assert len(gates) == (share < 1)
    assert all((gate.rested > 0.005) == is_recalled for gate in gates)


def test_hot_memories_only_by_default(call, store):
    assert call("consolidate", *store, "--json").json["groups"] == 0


def test_a_language_model(call, store):
    text = '{"facts": [{"statement": "The cat sleeps on the sofa.", "replaces": [], "sources": %s}]}'
    cited = '[{"id": 1, "quote": "cat sleeps on the sofa"}]'
    answer = {"message": {"content": text % cited}, "prompt_eval_count": 9, "eval_count": 4}
    with FakeServer(sends(answer)) as server:
        options = ("--provider", "ollama", "--llm", "small", "--url", server.url)
        done = call("consolidate", *store, *ANY, *options)
    assert done.code == 0, done.stderr
    assert "1 memories derived from 3 by ollama:small/1" in done.stdout
    assert "tokens: 9 read, 4 written" in done.stdout


def test_a_model_that_is_rude_hands_over_or_waits(call, store):
    with FakeServer(sends(b"<html>", kind="text/html")) as server:
        options = ("--provider", "ollama", "--llm", "small", "--url", server.url)
        wait = ("--set", "consolidation.on_failure=wait")
        waits = call("consolidate", *store, *ANY, *options, *wait)
        assert "1 groups wait for another run" in waits.stdout
        assert call("consolidate", *store, *ANY, *options, "--json").json["derived"] == 1


def test_tiers_by_size(call, store):
    options = ("--set", "consolidation.hot_bytes=300")
    report = call("consolidate", *store, *options, "--json").json
    assert report["groups"] == 0
    assert report["moved"] >= 1
    assert call("consolidate", *store, "--undo", report["run"]).code == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--dry-run", "--undo", "last"), "give one of --dry-run, --undo and --daemon"),
        (("--provider", "gpt"), "'gpt' is unknown; use one of: claude, engine, ollama, openai"),
        (("--provider", "ollama"), "consolidation.model is empty"),
        (("--undo", "last"), "no run has made anything visible"),
        (("--undo", "20200101"), "has nothing to be undone"),
        (("--set", "consolidation.policy=fifo"), "consolidation.policy 'fifo' is unknown"),
        (("--set", "consolidation.hot_bytes=much"), "consolidation.hot_bytes='much'"),
        (("--daemon", "--set", "consolidation.schedule=at night"), "has 2 fields"),
        (("--daemon", "--set", "consolidation.schedule="), "set consolidation.schedule or"),
    ],
)
def test_what_cannot_be_done(call, store, options, message):
    done = call("consolidate", *store, *options)
    assert done.code == 1
    assert message in done.stderr


def test_a_store_that_is_not_there(call, words):
    done = call("consolidate", "--store", "none")
    assert done.code == 1
    assert "holds no memory store" in done.stderr
    assert not Path("none").exists()


def test_the_daemon_stops_when_told(call, store, tmp_path):
    program = (
        "import sys; from tests.cli.conftest import WordEngine; import arrowmind.cli.engines as e; "
        "e.ArrowEngine = WordEngine; from arrowmind.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    path = os.pathsep.join([str(PACKAGE), str(PACKAGE.parent)])
    process = subprocess.Popen(
        [sys.executable, "-c", program, "consolidate", *store, "--daemon"],
        env={**os.environ, "PYTHONPATH": path},
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    try:
        line = process.stderr.readline()
        assert "the next run is at" in line
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=120) == 0  # it gives way to whatever else runs here
    finally:
        process.kill()
        process.communicate()


def test_a_program_of_its_own_runs_apart(store, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "arrowmind", "consolidate", *store, *ANY, "--dry-run"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(PACKAGE)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("1 groups of 3 memories") == 1
    missing = subprocess.run(
        [sys.executable, "-m", "arrowmind", "consolidate", "--store", "none", "--dry-run"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(PACKAGE)},
        check=False,
    )
    assert missing.returncode == 1
    assert missing.stderr.count("holds no memory store") == 1
