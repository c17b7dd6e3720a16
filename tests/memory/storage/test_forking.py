"""Stores in a process that forks."""

from __future__ import annotations

import subprocess
import sys

from tests.memory.worker import ROOT, Job, ids_for_another_process, start

IMPORTS = """
import os, sys, threading, time
sys.path.insert(0, {root!r})
from tests.memory.fake_encoder import FakeEncoder
from arrowmind.errors import MemoryStoreError
from arrowmind.memory import MemoryStore, StoreSettings
from arrowmind.memory.storage import forking
"""


def run(script: str, folder) -> str:
    source = (IMPORTS + script).format(root=str(ROOT), folder=str(folder))
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", source]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


FORK = """
store = MemoryStore({folder!r}, FakeEncoder(), settings=StoreSettings(flush_rows=8))
store.remember_many([f"before {{i}} word" for i in range(20)])
assert len(store.recall("before 3 word", 5)) == 5
children = []
for child in range(3):
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            assert len(store.recall("before 3 word", 5)) == 5
            ids = store.remember_many([f"child{{child}} {{i}} word" for i in range(10)])
            assert store.recall(f"child{{child}} 4 word", 1)[0].id == ids[4]
            store.forget(ids[0])
            store.close()
            status = 0
        finally:
            os._exit(status)
    children.append(pid)
store.remember_many([f"parent {{i}} word" for i in range(10)])
assert [os.waitpid(pid, 0)[1] for pid in children] == [0, 0, 0]
assert store.stats().records == 20 + 3 * 9 + 10
assert {{f"child{{c}} 5 word" for c in range(3)}} <= {{hit.text for hit in store.recall("5 word", 100)}}
assert store.verify().ok
store.close()
"""


def test_forked_children_may_go_on(tmp_path):
    run(FORK, tmp_path / "s")


OUTLIVING = """
store = MemoryStore({folder!r}, FakeEncoder(16))
store.remember("from the parent")
if os.fork() == 0:
    store.remember("from the child")
    print(end="x", flush=True)
    sys.stdin.read(1)
    store.remember("after the parent and another process")
    os._exit(0)
store.close()
"""


def test_a_child_keeps_its_locks_when_the_parent_has_gone(tmp_path):
    folder = tmp_path / "s"
    source = (IMPORTS + OUTLIVING).format(root=str(ROOT), folder=str(folder))
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", source]
    parent = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with parent:
        assert parent.wait(60) == 0
        assert parent.stdout.read(1) == b"x"
        assert start(Job(folder, seed=0, rounds=0)).finish() == 0
        parent.stdin.write(b"x")
        parent.stdin.flush()
        assert parent.stdout.read() == b""  # The child has ended.
    assert ids_for_another_process(folder) == [1, 2, 3]


WAITING = """
store = MemoryStore({folder!r}, FakeEncoder(16))
inside = threading.Event()
def write():
    with store._catalogue.writing():
        inside.set()
        time.sleep(0.2)
        with store._catalogue.reading():
            pass
thread = threading.Thread(target=write)
thread.start()
inside.wait()
pid = os.fork()
store.remember("from " + ("parent" if pid else "child"))
store.close()
if pid == 0:
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
thread.join()
"""


def test_a_fork_waits_for_the_transaction_of_a_thread(tmp_path):
    run(WAITING, tmp_path / "s")
    assert ids_for_another_process(tmp_path / "s") == [1, 2]


AMIDST = """
store = MemoryStore({folder!r}, FakeEncoder(16))
with store._catalogue.writing():
    if os.fork() == 0:
        for use in (lambda: store.remember("x"), lambda: MemoryStore({folder!r})):
            try:
                use()
                os._exit(1)
            except MemoryStoreError as error:
                print(error, flush=True)
        os._exit(0)
assert os.wait()[1] == 0
store.remember("the parent goes on")
"""


def test_a_child_of_a_transaction_is_told_so(tmp_path):
    lines = run(AMIDST, tmp_path / "s").splitlines()
    assert len(lines) == 2
    assert all("forked in the midst of a transaction" in line for line in lines)
    assert ids_for_another_process(tmp_path / "s") == [1]


LOCKED = """
from arrowmind.memory.storage.lock import hold_lock
store = MemoryStore({folder!r}, FakeEncoder(16), settings=StoreSettings(busy_seconds=0.5))
inside, leave = threading.Event(), threading.Event()
def maintain():
    with hold_lock(store._paths.lock, 1.0):
        inside.set()
        leave.wait()
thread = threading.Thread(target=maintain)
thread.start()
inside.wait()
child = os.fork()
if child == 0:
    time.sleep(60)
    os._exit(0)
leave.set()
thread.join()
try:
    store.compact()
finally:
    os.kill(child, 9)
"""


def test_a_child_does_not_hold_the_lock_of_its_parent(tmp_path):
    run(LOCKED, tmp_path / "s")
