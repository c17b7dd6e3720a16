"""Tables for people."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.table import Table

from arrowmind.bench.report import target_table
from arrowmind.bench.statistics import spread

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from arrowmind.bench.language.race import LanguageRace
    from arrowmind.bench.targets import Verdict

__all__ = ["print_language_result", "speed_table"]

_MEGA, _GIGA = 1e6, 1e9
_WIDTH = 124  # of what is not a terminal


def print_language_result(
    result: Mapping[str, Any],
    race: LanguageRace,
    verdicts: Sequence[Verdict],
    console: Console | None = None,
) -> None:
    """Print everything a run measured."""
    shown = console or Console(width=None if sys.stdout.isatty() else _WIDTH)
    hardware, workload = result["hardware"], result["workload"]
    shown.print(
        f"{hardware['cpu']}, {hardware['cpus']} processors, load {hardware['load_1m']:.1f}; "
        f"{workload['shape']}, random weights, one text, {workload['threads']} threads"
    )
    read = spread(race.bandwidth)
    shown.print(
        f"read bandwidth {read['median'] / _GIGA:.1f} GB/s "
        f"({read['min'] / _GIGA:.1f}-{read['max'] / _GIGA:.1f}, measured before each round)"
    )
    shown.print(speed_table(race, workload["prompt"]))
    for lane in race.lanes:
        if lane.error is not None:
            shown.print(f"{lane.name}: {lane.error}", markup=False)
    shown.print(target_table(verdicts))


def speed_table(race: LanguageRace, prompt: int) -> Table:
    """How fast each contender that ran is, what it takes, and how near its answers are."""
    table = Table(title="language models, one token at a time, and a prompt")
    table.add_column("contender", no_wrap=True)
    for name in (
        "MB per\ntoken",
        "tokens/s",
        "range",
        "of the\nbandwidth",
        f"prompt of {prompt},\ntokens/s",
        "peak, MB",
        f"cosine to\n{race.reference}",
        "same\ntoken",
    ):
        table.add_column(name, justify="right")
    for lane in race.lanes:
        if lane.error is not None:
            continue
        speed = spread([1 / seconds for seconds in lane.decode])
        table.add_row(
            lane.name,
            f"{lane.weight_bytes / _MEGA:.0f}",
            f"{speed['median']:.1f}",
            f"{speed['min']:.1f}-{speed['max']:.1f}",
            f"{100 * race.share(lane):.0f} %",
            f"{prompt / np.median(lane.prefill):.0f}",
            f"{lane.memory['peak'] / _MEGA:.0f}",
            f"{lane.fidelity['cosine']:.5f}" if lane.fidelity else "-",
            f"{100 * lane.fidelity['same_token']:.0f} %" if lane.fidelity else "-",
        )
    return table
