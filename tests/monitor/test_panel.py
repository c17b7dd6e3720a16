"""The live panel, driven by textual's own pilot."""

from __future__ import annotations

import asyncio
import sys
import warnings

import pytest

from arrowmind.errors import InvalidArgumentError
from arrowmind.monitor import target_of
from tests.monitor.conftest import metrics_text

pytest.importorskip("textual")

from arrowmind.monitor.panel import Panel


def screen(app):
    """All text on the screen."""
    console_lines = []
    for widget in app.query("Static"):
        if widget.display and widget.size.height:
            for y in range(widget.size.height):
                console_lines.append("".join(segment.text for segment in widget.render_line(y)))
    return "\n".join(console_lines)


async def until(pilot, met):
    for _ in range(400):
        await pilot.pause(0.02)
        if met():
            return
    raise AssertionError(screen(pilot.app))


def drive(server, steps, *words):
    app = Panel([target_of(word) for word in (words or [server.address])], seconds=0.05)

    async def run():
        async with app.run_test(size=(120, 60)) as pilot:
            await steps(app, pilot)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        asyncio.run(run())
    return app


def test_figures_are_shown_and_follow(server):
    async def steps(app, pilot):
        await until(pilot, lambda: "model m" in screen(app))
        shown = screen(app)
        for part in ("7 of 24 there", "2 running, 3 waiting", "device: not there x2", "base"):
            assert part in shown
        server.text = metrics_text().replace(
            'arrowmind_waiting{model="m"} 3.0', 'arrowmind_waiting{model="m"} 8.0'
        )
        await until(pilot, lambda: "8 waiting" in screen(app))

    drive(server, steps)


def test_space_stops_and_goes_on(server):
    async def steps(app, pilot):
        await until(pilot, lambda: "model m" in screen(app))
        await pilot.press("space")
        assert "paused" in screen(app)
        await pilot.pause(0.2)
        server.text = metrics_text().replace(
            'arrowmind_waiting{model="m"} 3.0', 'arrowmind_waiting{model="m"} 8.0'
        )
        await pilot.pause(0.3)
        assert "8 waiting" not in screen(app)
        await pilot.press("space")
        await until(pilot, lambda: "8 waiting" in screen(app))

    drive(server, steps)


def test_q_leaves(server):
    async def steps(app, pilot):
        await pilot.press("q")
        await pilot.pause()

    app = drive(server, steps)
    assert app.return_code == 0


def test_a_server_that_goes_is_told_and_comes_again(server):
    async def steps(app, pilot):
        await until(pilot, lambda: "model m" in screen(app))
        await asyncio.to_thread(server.stop)
        # The words may wrap: the part grows for them a frame after its first line is there.
        await until(pilot, lambda: "it is asked again" in screen(app))
        assert "does not answer" in screen(app)
        assert "model m" in screen(app)  # what it said last
        server.start()
        await until(pilot, lambda: "does not answer" not in screen(app))

    drive(server, steps)


def test_several_servers_have_a_part_each(server):
    async def steps(app, pilot):
        await until(pilot, lambda: "model m" in screen(app) and "does not answer" in screen(app))

    drive(server, steps, server.address, "http://127.0.0.1:9")


def test_without_the_extra_the_remedy_is_told(monkeypatch):
    for name in [name for name in sys.modules if name == "textual" or name.startswith("textual.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "arrowmind.monitor.panel")
    monkeypatch.setitem(sys.modules, "textual", None)
    with pytest.raises(InvalidArgumentError, match=r"pip install 'arrowmind\[monitor\]'"):
        __import__("arrowmind.monitor.panel")
