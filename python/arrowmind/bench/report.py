"""Tables for people: contenders, targets, kernels."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from arrowmind.bench.targets import fastest_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from arrowmind.bench.race import Lane
    from arrowmind.bench.targets import Verdict

__all__ = ["cost_table", "operator_table", "print_result", "speed_table", "target_table"]

_MEGA = 1e6
_WIDTH = 110  # of what is not a terminal


def print_result(
    result: Mapping[str, Any],
    lanes: Sequence[Lane],
    verdicts: Sequence[Verdict],
    console: Console | None = None,
) -> None:
    """Print everything a run measured."""
    shown = console or Console(width=None if sys.stdout.isatty() else _WIDTH)
    hardware, workload = result["hardware"], result["workload"]
    shown.print(
        f"{hardware['cpu']}, {hardware['cpus']} processors, load {hardware['load_1m']:.1f}; "
        f"{workload['sentences']} sentences, {workload['tokens']} tokens; {workload['threads']} threads"
    )
    if result["operators"] is not None:
        shown.print(operator_table(result["operators"]))
    for table in (speed_table, cost_table):
        shown.print(table(lanes, workload["sentences"], workload["tokens"]))
    for lane in lanes:
        if lane.error is not None:
            shown.print(f"{lane.name}: {lane.error}", markup=False)
    shown.print(target_table(verdicts))


def speed_table(lanes: Sequence[Lane], sentences: int, tokens: int) -> Table:
    """How fast each contender that ran is."""
    table = _table("end to end, strings to unit vectors", "sentences/s", "range")
    for length in ("16", "128"):
        table.add_column(f"{length} tokens, ms\np50   p95   p99", justify="right")
    table.add_column("beside a busy\nneighbour", justify="right")
    for lane in _running(lanes):
        summary = lane.summary(sentences, tokens)
        speed, share = summary["sentences_per_s"], summary.get("neighbour_share")
        table.add_row(
            lane.name,
            f"{speed['median']:.0f}",
            f"{speed['min']:.0f}-{speed['max']:.0f}",
            _milliseconds(summary["short"]),
            _milliseconds(summary["long"]),
            "-" if share is None else f"{100 * share:.0f} %",
        )
    return table


def cost_table(lanes: Sequence[Lane], sentences: int, tokens: int) -> Table:
    """What each contender that ran costs, and how true it is."""
    table = _table("size, start and fidelity", "file, MB", "start, s", "resident at\n1st, MB", "peak, MB")
    for name in ("cosine to\nFP32, mean", "min", "Spearman"):
        table.add_column(name, justify="right")
    for lane in _running(lanes):
        summary, fidelity = lane.summary(sentences, tokens), lane.fidelity
        table.add_row(
            lane.name,
            f"{lane.weights_bytes / _MEGA:.1f}",
            f"{summary['start_seconds']['median']:.2f}",
            f"{summary['resident_first'] / _MEGA:.0f}",
            f"{lane.memory['peak'] / _MEGA:.0f}",
            f"{fidelity['cosine_mean']:.5f}" if fidelity else "-",
            f"{fidelity['cosine_min']:.5f}" if fidelity else "-",
            " ".join(f"{value:.4f}" for value in lane.similarity.values()) or "-",
        )
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title)
    table.add_column("contender")
    for name in columns:
        table.add_column(name, justify="right")
    return table


def _running(lanes: Sequence[Lane]) -> list[Lane]:
    return [lane for lane in lanes if lane.error is None]


def _milliseconds(values: Mapping[str, float]) -> str:
    return " ".join(f"{values[key]:5.1f}" for key in ("p50_ms", "p95_ms", "p99_ms"))


def target_table(verdicts: Sequence[Verdict]) -> Table:
    """The numbers asked for, beside what was measured."""
    table = Table(title="targets")
    for name in ("what", "target", "measured", ""):
        table.add_column(name)
    for verdict in verdicts:
        mark = {True: "pass", False: "[red]FAIL[/red]", None: "-"}[verdict.reached]
        table.add_row(verdict.what, verdict.target, verdict.measured, mark)
    return table


def operator_table(operators: Mapping[str, Any]) -> Table:
    """The fastest kernel of each op, shape and number of threads."""
    table = Table(title="operators: the fastest kernel of each shape")
    table.add_column("kernel")
    for name in ("shape", "threads", "best, us", "median, us", "Gop/s", "GB/s", "share of the limit"):
        table.add_column(name, justify="right")
    for row in fastest_rows(operators["results"]):
        limit = f"{100 * row['share']:.0f} % {row['limit']}" if row["limit"] else ""
        table.add_row(
            row["kernel"],
            row["shape"],
            str(row["threads"]),
            f"{1e6 * row['best_s']:.1f}",
            f"{1e6 * row['median_s']:.1f}",
            f"{row['gop_s']:.1f}",
            f"{row['gb_s']:.2f}",
            limit,
        )
    return table
