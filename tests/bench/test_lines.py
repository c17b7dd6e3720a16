"""Progress in logs."""

from __future__ import annotations

from arrowmind.bench import lines


def test_first_last_and_new_work_are_told(capsys):
    with lines.progress_or_lines() as progress:
        for done in range(1, 4):
            progress(done, 3, "rounds")
        progress(7, 0, "kernels")
    assert capsys.readouterr().err.splitlines() == ["rounds: 1 of 3", "rounds: 3 of 3", "kernels: 7"]


def test_time_brings_a_line(capsys, monkeypatch):
    monkeypatch.setattr(lines, "_EVERY_SECONDS", 0.0)
    with lines.progress_or_lines() as progress:
        for done in range(1, 4):
            progress(done, 3, "rounds")
    assert len(capsys.readouterr().err.splitlines()) == 3
