from __future__ import annotations

import contextlib
import io
import time

from rich.console import Console

from arrowmind.observe import no_progress, progress_bar
from arrowmind.observe.bars import bars


def test_disabled_says_nothing(capsys):
    with progress_bar(enabled=False) as progress:
        assert progress is no_progress
        progress(1, 2, "rows")
    assert capsys.readouterr().err == ""


def test_what_is_done_soon_shows_no_bar(monkeypatch):
    drawn = []

    @contextlib.contextmanager
    def recorded():
        yield lambda *told: drawn.append(told)

    monkeypatch.setattr("arrowmind.observe.bars.bars", recorded)
    with progress_bar(after=60) as progress:
        progress(1, 2, "rows")
    assert drawn == []
    with progress_bar(after=0.01) as progress:
        progress(1, 3, "rows")
        time.sleep(0.02)
        progress(2, 3, "rows")
        progress(3, 3, "rows")
    assert drawn == [(2, 3, "rows"), (3, 3, "rows")]


def test_bars_show_what_is_done():
    stream = io.StringIO()
    with bars(Console(file=stream, force_terminal=True, width=100)) as progress:
        progress(1, 0, "reading")
        for done in range(5):
            progress(done, 4, "rows [x]")
    text = stream.getvalue()
    assert "rows [x]" in text
    assert "4/4" in text
    assert "reading" in text
