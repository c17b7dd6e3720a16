"""What speaks for a memory: one file each, found by its name.

A module holds ``SIGNALS``, a mapping from the name of a signal to a function of question and pool that
returns float32 [n], about 0 to 1. `weights` says what each counts; a signal without a weight counts nothing.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import lru_cache
from typing import TYPE_CHECKING

from arrowmind.memory.ranking.signals.signal import Signal

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Signal", "all_signals"]


@lru_cache(maxsize=1)
def all_signals() -> Mapping[str, Signal]:
    """Every signal by its name, in the order of names."""
    found: dict[str, Signal] = {}
    for module in pkgutil.iter_modules(__path__):
        found.update(getattr(importlib.import_module(f"{__name__}.{module.name}"), "SIGNALS", {}))
    return dict(sorted(found.items()))
