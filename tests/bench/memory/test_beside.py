"""Recall beside a consolidation: what is measured, told and judged."""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
import time

import pytest
from tests.bench.memory.small import write_conversations
from tests.memory.fake_encoder import FakeEncoder

import arrowmind
from arrowmind.bench import main
from arrowmind.bench.memory import beside, command
from arrowmind.bench.memory.beside import judge_beside, measure_beside
from arrowmind.bench.memory.conversations import read_conversations
from arrowmind.errors import ConsolidationError
from arrowmind.observe import no_progress


@pytest.fixture(autouse=True)
def few(monkeypatch):
    monkeypatch.setattr(beside, "_ALONE", 20)
    monkeypatch.setattr(beside, "_WARMING", 2)


def standing_in(program):
    """A consolidation that is given the store and the settings, and does this."""
    return lambda store, settings: [sys.executable, "-c", program, str(store), str(settings)]


READS = (
    "import pathlib, sys, time; store, settings = map(pathlib.Path, sys.argv[1:]); "
    "assert (store / 'catalogue.sqlite').exists() and 'min_access: 0' in settings.read_text(); "
    "time.sleep(0.3)"
)


def test_the_command(monkeypatch, capsys, tmp_path):
    data = write_conversations(tmp_path / "data")
    monkeypatch.setattr(arrowmind, "ArrowEngine", lambda _folder: FakeEncoder())
    monkeypatch.setattr(command, "_consolidating", lambda _model: standing_in(READS))
    out = tmp_path / "a.json"
    assert main(["memory", "--beside", str(data), "--model", "m", "--out", str(out)]) == 0
    result = json.loads(out.read_text())
    measured = result["beside"]
    assert measured["finished"]
    assert measured["before"]["recalls"] == measured["alone"]["recalls"] == 20
    assert measured["beside"]["recalls"] > 1
    assert measured["beside"]["p99_ms"] >= measured["beside"]["p50_ms"] > 0
    assert measured["beside"]["waited_p99_ms"] >= 0
    assert measured["rise"] == pytest.approx(
        100 * (measured["beside"]["p99_ms"] / measured["alone"]["p99_ms"] - 1)
    )
    assert [target["what"] for target in result["targets"]] == ["recall beside a consolidation, p99"]
    printed = capsys.readouterr().out
    assert "beside a consolidation" in printed
    assert "stopped before" not in printed


def measured_with(tmp_path, program):
    told = read_conversations(write_conversations(tmp_path / "data"))
    return measure_beside(told, FakeEncoder(), standing_in(program), no_progress)


def test_one_that_takes_too_long_is_stopped(monkeypatch, tmp_path):
    monkeypatch.setattr(beside, "_MOST_SECONDS", 0.2)
    measured = measured_with(tmp_path, "import time; time.sleep(60)")
    assert not measured["finished"]
    assert measured["beside"]["recalls"] > 1


COUNTS = """
import pathlib, subprocess, sys, time
child = "import sys, time; [print(i, file=open(sys.argv[1], 'w')) or time.sleep(0.01) for i in range(200)]"
subprocess.run([sys.executable, "-c", child, sys.argv[1] + ".count"], check=True)
"""


def test_it_is_stopped_every_other_while_with_all_it_has_started(monkeypatch, tmp_path):
    monkeypatch.setattr(beside, "_SLICE_SECONDS", 0.2)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    seen = []
    stopped = beside._stopped

    @contextlib.contextmanager
    def watched(pid):
        with stopped(pid) as any_there:
            time.sleep(0.05)  # a signal takes a moment to reach another processor
            # Of a slow start, nothing is seen yet; of a stop that finds it ended, nothing can be.
            counts = {count: count.read_text() for count in tmp_path.rglob("*.count") if any_there}
            yield any_there
            seen.extend(count.read_text() == before for count, before in counts.items())

    monkeypatch.setattr(beside, "_stopped", watched)
    measured = measured_with(tmp_path, COUNTS)
    assert measured["finished"]
    assert seen
    assert all(seen[:-1])
    assert measured["alone"]["recalls"] > 20


def test_one_that_fails_is_no_measurement(tmp_path):
    with pytest.raises(ConsolidationError, match=r"ended with 1.*no room"):
        measured_with(tmp_path, "import sys; sys.exit('no room')")


@pytest.mark.parametrize(("rise", "reached"), [(9.9, True), (10.1, False), (-3.0, True)])
def test_what_is_asked_for(rise, reached):
    both = {"p99_ms": 10.0}
    (verdict,) = judge_beside({"alone": both, "beside": both, "rise": rise})
    assert verdict.reached is reached
