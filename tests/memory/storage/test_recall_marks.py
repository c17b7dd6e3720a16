"""Recalls of all processes are seen by who wants to give way, and nothing in the file can harm."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from arrowmind.errors import InvalidArgumentError
from arrowmind.memory import MemoryStore
from arrowmind.memory.storage.recall_marks import RecallMark, RecallWatch

HOLDS = """
import sys, time
from pathlib import Path
from arrowmind.memory.storage.recall_marks import RecallMark
with RecallMark(Path(sys.argv[1])).under_way():
    print("under way", flush=True)
    sys.stdin.readline()
print("over", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "recalls.lock"


@pytest.fixture
def recalling(path):
    """Another process in the middle of a recall."""
    command = [sys.executable, "-c", HOLDS, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "under way\n"
        yield process
        process.kill()


def test_a_recall_of_another_process_is_seen(path, recalling):
    watch = RecallWatch(path)
    assert watch.is_busy()
    assert watch.is_busy()
    with RecallMark(path).under_way():
        pass
    assert watch.is_busy()
    recalling.stdin.write("\n")
    recalling.stdin.flush()
    assert recalling.stdout.readline() == "over\n"
    assert not watch.is_busy()
    assert path.read_bytes() == b""


def test_no_mark_outlives_its_process(path, recalling):
    watch = RecallWatch(path)
    assert watch.is_busy()
    recalling.send_signal(signal.SIGKILL)
    recalling.wait()
    assert not watch.is_busy()


def test_threads_of_one_process(path):
    mark, watch = RecallMark(path), RecallWatch(path)
    inside, leave = threading.Event(), threading.Event()

    def recall():
        with mark.under_way():
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=recall)
    with mark.under_way():
        thread.start()
        assert inside.wait(10)
    assert watch.is_busy()
    leave.set()
    thread.join()
    assert not watch.is_busy()


def test_a_recall_that_fails_is_over(path):
    mark, watch = RecallMark(path), RecallWatch(path)
    with pytest.raises(ZeroDivisionError), mark.under_way():
        _ = 1 / 0
    assert not watch.is_busy()


def test_a_forked_child_has_a_mark_of_its_own(tmp_path):
    with MemoryStore(tmp_path / "store") as store:
        store.recall("opens the file")
        watch, held = RecallWatch(store.paths.recalls), store._sessions.current.recalls
        with held.under_way():
            child = os.fork()
            if not child:
                store.recall("of the child")
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
            assert watch.is_busy()
        assert not watch.is_busy()


@pytest.mark.parametrize("what", ["pipe", "link", "folder", "dangling"])
def test_what_is_no_file_is_not_used(path, tmp_path, what):
    target = tmp_path / "elsewhere"
    if what == "pipe":
        os.mkfifo(path)
    elif what == "folder":
        path.mkdir()
    else:
        path.symlink_to(target)
        if what == "link":
            target.write_text("not ours")
    began = time.monotonic()
    watch = RecallWatch(path)
    with RecallMark(path).under_way():
        assert not watch.is_busy()
    assert time.monotonic() - began < 5
    assert target.exists() == (what == "link")


def test_content_is_never_read(path):
    path.write_bytes(b"\xff" * 100_000)
    watch = RecallWatch(path)
    assert not watch.is_busy()
    with RecallMark(path).under_way():
        path.write_bytes(b"")
        assert watch.is_busy()
    assert not watch.is_busy()


def test_where_nothing_can_be_written_recalls_go_unmarked(tmp_path):
    missing = tmp_path / "none" / "recalls.lock"
    with RecallMark(missing).under_way():
        assert not RecallWatch(missing).is_busy()


def test_a_file_system_without_locks(path, monkeypatch):
    def refused(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", refused)
    with RecallMark(path).under_way():
        assert not RecallWatch(path).is_busy()


def test_recalls_of_a_store_are_marked(store, monkeypatch):
    store.remember("green tea with ann")
    watch, seen = RecallWatch(store.paths.recalls), []
    encode = store._encoders.text.encode

    def watched(texts):
        seen.append(watch.is_busy())
        return encode(texts)

    monkeypatch.setattr(store._encoders.text, "encode", watched)
    assert store.recall("tea")
    assert store.recall_episodes("tea")
    assert seen == [True, True]
    with pytest.raises(InvalidArgumentError):
        store.recall("tea", since="never")
    assert not watch.is_busy()


def test_a_mark_costs_little(path):
    mark = RecallMark(path)
    spent = []
    for _ in range(50):
        began = time.process_time_ns()
        for _ in range(100):
            with mark.under_way():
                pass
        spent.append(time.process_time_ns() - began)
    assert min(spent) / 100 < 20_000
