"""Work in a session of its own: begun there, told of signals, and its exit code handed back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from arrowmind.consolidate.schedule import apart

pytestmark = pytest.mark.skipif(os.name != "posix", reason="sessions are those of POSIX")

LEADS = "import os, sys; sys.exit(7 if os.getsid(0) == os.getpid() else 1)"


@pytest.fixture
def groups(monkeypatch, tmp_path):
    """A system that shares processors between sessions; the file that tells the place of one."""
    switch, own = tmp_path / "enabled", tmp_path / "autogroup"
    switch.write_text("1\n")
    own.write_text("/autogroup-9 nice 0\n")
    monkeypatch.setattr(apart, "_IS_GROUPED", switch)
    monkeypatch.setattr(apart, "_OWN_GROUP", own)
    monkeypatch.setattr(apart, "leads_session", lambda: False)
    return switch, own


def python(program):
    return [sys.executable, "-c", program]


def test_work_leads_a_session_and_its_code_comes_back(groups):
    assert apart.run_apart(python(LEADS)) == 7


def test_products_of_matrices_take_one_thread(groups, monkeypatch):
    told = "import os, sys; sys.exit(10 * int(os.environ['OPENBLAS_NUM_THREADS']))"
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    assert apart.run_apart(python(told)) == 10
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "3")
    assert apart.run_apart(python(told)) == 30


def test_of_no_use_nothing_is_run(groups, monkeypatch, tmp_path):
    program = python(f"open({str(tmp_path / 'made')!r}, 'w')")
    codes = []
    thread = threading.Thread(target=lambda: codes.append(apart.run_apart(program)))
    thread.start()  # signals reach the main thread alone
    thread.join()
    groups[0].write_text("0\n")
    codes.append(apart.run_apart(program))
    groups[0].unlink()
    codes.append(apart.run_apart(program))
    groups[0].write_text("1\n")
    monkeypatch.setattr(apart, "leads_session", lambda: True)
    codes.append(apart.run_apart(program))
    assert codes == [None] * 4
    assert not (tmp_path / "made").exists()


def test_a_program_that_cannot_be_started(groups, tmp_path):
    assert apart.run_apart([str(tmp_path / "none")]) is None


def test_one_that_a_signal_ended(groups):
    assert apart.run_apart(python("import os; os.kill(os.getpid(), 9)")) == 128 + 9


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_are_handed_on(groups, number):
    before = signal.getsignal(number)
    program = (
        "import os, signal, sys, time\n"
        f"signal.signal({int(number)}, lambda *_: sys.exit(5))\n"
        f"os.kill(os.getppid(), {int(number)})\n"
        "time.sleep(30)"
    )
    assert apart.run_apart(python(program)) == 5
    assert signal.getsignal(number) is before


def test_only_an_own_session_is_put_behind(groups, monkeypatch):
    assert not apart.yield_session()
    assert groups[1].read_text() == "/autogroup-9 nice 0\n"
    monkeypatch.setattr(apart, "leads_session", lambda: True)
    assert apart.yield_session()
    assert groups[1].read_text() == "19"
    groups[1].unlink()
    assert not apart.yield_session()


@pytest.mark.skipif(not apart.is_grouped(), reason="this system does not share processors between sessions")
def test_the_whole_on_this_system():
    program = (
        "import sys; from pathlib import Path; from arrowmind.consolidate.schedule import give_way\n"
        "print(give_way(), Path('/proc/self/autogroup').read_text())"
    )
    done = subprocess.run(python(program), start_new_session=True, capture_output=True, text=True, check=True)
    assert "'session'" in done.stdout
    assert done.stdout.rstrip().endswith("nice 19")
    before = Path("/proc/self/autogroup").read_text()
    assert apart.run_apart(python("from arrowmind.consolidate.schedule import give_way; give_way()")) in (
        0,
        None,
    )
    assert Path("/proc/self/autogroup").read_text() == before
