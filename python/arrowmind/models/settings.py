"""Typed access to the values of a model's config.json."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from arrowmind.errors import WeightError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ModelConfig"]

_MAX_INTEGER = 1 << 31


class ModelConfig:
    """A model's config.json, read value by value with a clear error for each that is missing or wrong."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def integer(self, key: str, default: int | None = None, *, minimum: int = 1) -> int:
        """The whole number at `key`, between `minimum` and 2^31."""
        value = self._values.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value < _MAX_INTEGER:
            raise WeightError(
                f"config.json: {key} is {value!r}; a whole number of at least {minimum} is needed. "
                "Is this the config.json of the model?"
            )
        return value

    def number(self, key: str, default: float | None = None) -> float:
        """The positive finite number at `key`."""
        value = self._values.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
            raise WeightError(f"config.json: {key} is {value!r}; a positive number is needed")
        return float(value)

    def text(self, key: str, default: str | None = None, *, allowed: tuple[str, ...] = ()) -> str:
        """The text at `key`, one of `allowed` when that is given."""
        value = self._values.get(key, default)
        if not isinstance(value, str) or (allowed and value not in allowed):
            expected = f"one of {', '.join(allowed)}" if allowed else "text"
            raise WeightError(f"config.json: {key} is {value!r}; {expected} is needed")
        return value
