"""What each signal counts: learned, and shipped as data with how it was learned (``weights.json``)."""

from __future__ import annotations

import json
import math
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING

from arrowmind.errors import InvalidArgumentError
from arrowmind.memory.ranking.episodes import EPISODE_SIGNALS
from arrowmind.memory.ranking.signals import all_signals

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

__all__ = [
    "checked_episode_weights",
    "checked_weights",
    "scaled_weights",
    "shipped_episode_weights",
    "shipped_weights",
]


@lru_cache(maxsize=1)
def shipped_weights() -> Mapping[str, float]:
    """Weights by the names of signals."""
    return checked_weights(_shipped()["weights"])


@lru_cache(maxsize=1)
def shipped_episode_weights() -> Mapping[str, float]:
    """Weights of what speaks for an episode, by the names of `EPISODE_SIGNALS`."""
    return checked_episode_weights(_shipped()["episodes"])


def _shipped() -> dict[str, dict[str, float]]:
    text = resources.files("arrowmind.memory.ranking").joinpath("weights.json").read_text(encoding="utf-8")
    shipped: dict[str, dict[str, float]] = json.loads(text)
    return shipped


def checked_weights(weights: Mapping[str, float]) -> dict[str, float]:
    """The same, of known signals and finite.

    Raises:
        InvalidArgumentError: a name is unknown, a number not finite, or none is above 0.
    """
    return _checked(weights, all_signals())


def checked_episode_weights(weights: Mapping[str, float]) -> dict[str, float]:
    """The same for the signals of episodes.

    Raises:
        InvalidArgumentError: a name is unknown, a number not finite, or none is above 0.
    """
    return _checked(weights, EPISODE_SIGNALS)


def _checked(weights: Mapping[str, float], known: Collection[str]) -> dict[str, float]:
    for name, weight in weights.items():
        if name not in known:
            raise InvalidArgumentError(f"weights: unknown signal {name!r}; there are {', '.join(known)}")
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not math.isfinite(weight):
            raise InvalidArgumentError(f"weights: {name}={weight!r}; give a finite number")
    if not any(weight > 0 for weight in weights.values()):
        raise InvalidArgumentError("weights: none is above 0; give at least one that is")
    return {name: float(weight) for name, weight in weights.items()}


def scaled_weights(weights: Mapping[str, float]) -> dict[str, float]:
    """The same order with scores of about 0 to 1: the positive ones sum to 1."""
    total = sum(weight for weight in weights.values() if weight > 0)
    return {name: weight / total for name, weight in weights.items()}
