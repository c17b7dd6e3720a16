"""A progress bar on standard error for library calls that were asked to show one."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from arrowmind.observe.progress import Progress, no_progress

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["progress_bar"]


@contextmanager
def progress_bar(*, enabled: bool) -> Iterator[Progress]:
    """A `Progress` that draws a bar with rate and time left while the block runs, or says nothing."""
    if not enabled:
        yield no_progress
        return
    from rich.console import Console  # noqa: PLC0415  costs 0.1 s, and most calls draw nothing
    from rich.progress import BarColumn, MofNCompleteColumn, Progress as Bar, TextColumn, TimeRemainingColumn  # noqa: I001, PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)

        def advance(done: int, total: int, what: str) -> None:
            bar.update(task, completed=done, total=total or None, description=what)

        yield advance
