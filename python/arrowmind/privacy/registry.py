"""The detectors: every module of the folder `detectors` that names `DETECTORS`."""

from __future__ import annotations

import difflib
import functools
import importlib
import pkgutil
from typing import TYPE_CHECKING

from arrowmind.errors import ConfigurationError
from arrowmind.privacy import detectors as rooms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arrowmind.privacy.detector import Detector

__all__ = ["ALL", "NAMES_KIND", "NONE", "detectors_of", "known_kinds", "standard_kinds"]

ALL, NONE = "all", "none"
NAMES_KIND = "person"


@functools.cache
def _detectors() -> tuple[Detector, ...]:
    names = sorted(module.name for module in pkgutil.iter_modules(rooms.__path__))
    modules = [importlib.import_module(f"{rooms.__name__}.{name}") for name in names]
    return tuple(detector for module in modules for detector in module.DETECTORS)


def known_kinds() -> list[str]:
    """Every kind that can be named, `person` among them, which needs a model from the caller."""
    return sorted({detector.kind for detector in _detectors()} | {NAMES_KIND})


def standard_kinds() -> list[str]:
    """The kinds that are looked for when none are named."""
    return sorted({detector.kind for detector in _detectors() if detector.standard})


def detectors_of(kinds: Sequence[str] | None, extra: Sequence[Detector] = ()) -> list[Detector]:
    """The detectors of these kinds.

    Args:
        kinds: names; `all` is every kind, `none` is none; None takes the standard ones.
        extra: further detectors, which are used whatever `kinds` says.

    Raises:
        ConfigurationError: a kind is unknown.
    """
    if kinds is None:
        return [detector for detector in _detectors() if detector.standard] + list(extra)
    known = {*known_kinds(), ALL, NONE} | {detector.kind for detector in extra}
    for kind in kinds:
        if kind not in known:
            near = difflib.get_close_matches(str(kind), known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"use some of: {', '.join(sorted(known))}"
            raise ConfigurationError(f"kind of private data {kind!r} is unknown; {hint}")
    if NONE in kinds and len(kinds) > 1:
        raise ConfigurationError(
            f"kinds {', '.join(kinds)}: {NONE!r} stands by itself; remove it or the rest"
        )
    wanted = set(known_kinds() if ALL in kinds else kinds)
    return [detector for detector in _detectors() if detector.kind in wanted] + list(extra)
