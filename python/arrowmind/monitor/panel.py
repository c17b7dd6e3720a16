"""The live panel."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.table import Table
from rich.text import Text

from arrowmind.errors import InvalidArgumentError
from arrowmind.monitor.tables import rows_of

try:
    from textual.app import App, ComposeResult
    from textual.containers import VerticalScroll
    from textual.widgets import Footer, Static
except ImportError as error:
    raise InvalidArgumentError(
        "the live panel needs textual; run: pip install 'arrowmind[monitor]' (--once and --json do without)"
    ) from error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.binding import BindingType

    from arrowmind.monitor.targets import Reading, Target

__all__ = ["Panel"]


class Panel(App[None]):
    """Asks all targets again and again. A target that does not answer is told, and asked further on."""

    TITLE = "arrowmind monitor"
    CSS = """
    Static.problem { color: $error; }
    Static { padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [("q", "quit", "Quit"), ("space", "pause", "Pause")]

    def __init__(self, targets: Sequence[Target], seconds: float = 1.0) -> None:
        """Asks nobody yet.

        Args:
            targets: who is watched.
            seconds: between two questions.
        """
        super().__init__()
        self._targets, self._seconds = list(targets), seconds
        self.is_paused = False
        self.readings = 0

    def compose(self) -> ComposeResult:
        """A part for each target."""
        yield Static("", id="state")
        with VerticalScroll():
            for place in range(len(self._targets)):
                yield Static("", id=f"problem-{place}", classes="problem")
                yield Static("...", id=f"target-{place}")
        yield Footer()

    def on_mount(self) -> None:
        """Begins to ask."""
        self._show_state()
        for place in range(len(self._targets)):
            self._ask(place)
        self.set_interval(self._seconds, self._ask_all)

    def action_pause(self) -> None:
        """Stops asking, or goes on."""
        self.is_paused = not self.is_paused
        self._show_state()

    def _ask_all(self) -> None:
        if not self.is_paused:
            for place in range(len(self._targets)):
                self._ask(place)

    def _ask(self, place: int) -> None:
        """In a thread: who does not answer must not stop the keys. One question at a time for each target."""
        group = f"ask-{place}"
        if any(worker.group == group and not worker.is_finished for worker in self.workers):
            return
        self.run_worker(lambda: self._read(place), group=group, thread=True)

    def _read(self, place: int) -> None:
        reading = self._targets[place].read()
        if self.is_running:
            self.call_from_thread(self._show, place, reading)

    def _show(self, place: int, reading: Reading) -> None:
        if self.is_paused and self.readings:
            return
        self.readings += 1
        problem = f"{reading.problem}; it is asked again" if reading.problem else ""
        self.query_one(f"#problem-{place}", Static).update(Text(problem))
        self.query_one(f"#target-{place}", Static).update(_table(reading))

    def _show_state(self) -> None:
        state = "paused: space goes on" if self.is_paused else f"every {self._seconds:g} s"
        self.query_one("#state", Static).update(Text(f"{self.TITLE}, {state}"))


def _table(reading: Reading) -> Table:
    table = Table(title=Text(reading.target), title_justify="left", box=None, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column()
    style = "dim" if reading.problem else ""  # what it said last
    for what, how in () if reading.summary is None else rows_of(reading.summary):
        table.add_row(Text(what), Text(how), style=style)
    return table
