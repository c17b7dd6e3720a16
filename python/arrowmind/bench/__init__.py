"""Measurements of speed, size and fidelity, beside the strategies and peers one would otherwise use.

::

    corpus, workload    real sentences that are on every machine; what contenders encode
    contenders/         what can be measured: one file each, found through one registry
    worker, process     a contender in a process of its own, and the parent's side of it
    race                all of them side by side, round after round
    neighbour           another process that keeps a processor busy
    operators           the kernels one by one
    hardware            what it was measured on
    targets             the numbers we hold ourselves to
    report, comparison  tables; is one result worse than another?
    language/           language models, and llama.cpp
    memory/             what recall finds of conversations
    command             `arrowmind bench`
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(words: Sequence[str]) -> int:
    """Run `arrowmind bench` with these words; see `arrowmind bench --help`."""
    from arrowmind.bench.command import main as run  # noqa: PLC0415  workers import this package, too

    return run(words)
