"""Tables for people."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from arrowmind.bench.report import target_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from arrowmind.bench.memory.measures import Means
    from arrowmind.bench.targets import Verdict

__all__ = ["means_table", "print_memory_result"]

_WIDTH = 124  # of what is not a terminal
_COLUMNS = {
    "turn_any1": "turn\nany@1",
    "turn_any5": "turn\nany@5",
    "turn_any10": "turn\nany@10",
    "turn_fraction10": "turn\nfraction@10",
    "session_any5": "session\nany@5",
    "session_fraction5": "session\nfraction@5",
    "session_fraction10": "session\nfraction@10",
}


def print_memory_result(
    result: Mapping[str, Any], verdicts: Sequence[Verdict], console: Console | None = None
) -> None:
    """Print everything a run measured."""
    shown = console or Console(width=None if sys.stdout.isatty() else _WIDTH)
    hardware = result["hardware"]
    shown.print(f"{hardware['cpu']}, {hardware['cpus']} processors")
    if "workload" in result:
        _print_conversations(result, shown)
    if "mixed" in result:
        _print_mixed(result["mixed"], shown)
    if "large" in result:
        _print_large(result["large"], shown)
    if "beside" in result:
        _print_beside(result["beside"], shown)
    shown.print(target_table(verdicts))


def _print_conversations(result: Mapping[str, Any], shown: Console) -> None:
    workload = result["workload"]
    shown.print(
        f"{workload['conversations']} conversations, {workload['turns']} turns, "
        f"{workload['questions']} questions"
    )
    for name, title in (
        ("held_out", "weights learned on the other conversations"),
        ("shipped", "weights shipped"),
    ):
        if name in result:
            shown.print(means_table(result[name], title))
    for fold in result.get("folds", ()):
        shown.print(means_table({fold["conversation"]: fold["means"]["all"]}, "held out"))
    recall = result["recall"]
    shown.print(f"one recall: p50 {recall['p50_ms']:.1f} ms, p99 {recall['p99_ms']:.1f} ms")


def _print_mixed(mixed: Mapping[str, Any], shown: Console) -> None:
    table = Table(title=f"{mixed['memories']} memories of text, image and sound, synthetic encoders")
    table.add_column("found among the best ten")
    columns = {"with_edges": "with edges", "without_edges": "without edges"}
    for name in columns.values():
        table.add_column(name, justify="right")
    for where, said in (("together", "together"), ("apart", "apart"), ("after", "one after the other")):
        for what in mixed["with_edges"][where]:
            shares = (f"{mixed[name][where][what]:.1f} %" for name in columns)
            table.add_row(f"{what}, stored {said}", *shares)
    for percentile in ("p50", "p99"):
        times = (f"{mixed[name]['recall'][f'{percentile}_ms']:.1f} ms" for name in columns)
        table.add_row(f"one recall, {percentile}", *times)
    shown.print(table)
    shown.print(f"aligned in {mixed['align_seconds']:.1f} s, linked in {mixed['link_seconds']:.1f} s")


def _print_large(large: Mapping[str, Any], shown: Console) -> None:
    table = Table(title=f"{large['memories']} memories of text, {large['links']} links each")
    table.add_column("")
    for name in ("p50, ms", "p99, ms"):
        table.add_column(name, justify="right")
    rows = {**large["legs"], f"whole recall, {large['threads']} threads": large["recall"]}
    for name, times in rows.items():
        table.add_row(name, f"{times['p50_ms']:.1f}", f"{times['p99_ms']:.1f}")
    shown.print(table)
    shown.print(
        f"reopened in {large['reopen_ms']:.0f} ms, first recall {large['first_recall_ms']:.0f} ms; "
        f"one insert {large['insert']['ms']:.1f} ms; {large['rows_per_second']:.0f} remembered per second"
    )


def _print_beside(beside: Mapping[str, Any], shown: Console) -> None:
    ended = "" if beside["finished"] else ", which was stopped before it had ended"
    table = Table(title=f"recall alone and beside a consolidation{ended}")
    for name in ("", "recalls", "p50, ms", "p99, ms", "waited for a processor, p50", "p99"):
        table.add_column(name, justify="right")
    for name in ("before", "alone", "beside"):
        row = beside[name]
        numbers = (f"{row[column]:.1f}" for column in ("p50_ms", "p99_ms", "waited_p50_ms", "waited_p99_ms"))
        table.add_row(name, f"{row['recalls']:.0f}", *numbers)
    shown.print(table)


def means_table(rows: Means, title: str) -> Table:
    """Percent of each measure, by category."""
    table = Table(title=title)
    table.add_column("questions", no_wrap=True)
    table.add_column("number", justify="right")
    for name in _COLUMNS.values():
        table.add_column(name, justify="right")
    for category, row in rows.items():
        table.add_row(category, f"{row['questions']:.0f}", *(f"{row[name]:.1f}" for name in _COLUMNS))
    return table
