"""Measure speed, size and fidelity, beside peers; `arrowmind bench --help` lists its own options."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from arrowmind.errors import OptimizationError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["forward"]


def forward(arguments: Sequence[str]) -> int:
    try:
        bench = importlib.import_module("arrowmind.bench")
        main = bench.main
    except (ImportError, AttributeError) as error:
        raise OptimizationError(
            f"the benchmarks are not part of this installation ({error}); install arrowmind with them"
        ) from error
    return int(main(list(arguments)) or 0)
