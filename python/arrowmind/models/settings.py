"""Typed access to the values of a model's config.json."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from arrowmind.errors import WeightError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ModelConfig"]

_MAX_INTEGER = 1 << 31


class ModelConfig:
    """A model's config.json, read value by value with a clear error for each that is missing or wrong.

    A null counts as missing.
    """

    def __init__(self, values: Mapping[str, Any], prefix: str = "") -> None:
        """Reads `values`, which stand under `prefix` of the file."""
        self._values = values
        self._prefix = f"config.json: {prefix}"

    def has(self, key: str) -> bool:
        """Whether there is a value at `key`."""
        return self._values.get(key) is not None

    def integer(self, key: str, default: int | None = None, *, minimum: int = 1) -> int:
        """The whole number at `key`, between `minimum` and 2^31."""
        value = self._get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value < _MAX_INTEGER:
            raise WeightError(
                f"{self._prefix}{key} is {value!r}; a whole number of at least {minimum} is needed. "
                "Is this the config.json of the model?"
            )
        return value

    def number(self, key: str, default: float | None = None) -> float:
        """The positive finite number at `key`."""
        value = self._get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
            raise WeightError(f"{self._prefix}{key} is {value!r}; a positive number is needed")
        return float(value)

    def amount(self, key: str, default: float = 0.0) -> float:
        """The finite number at `key`, not below 0."""
        value = self._get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
            raise WeightError(f"{self._prefix}{key} is {value!r}; a number of at least 0 is needed")
        return float(value)

    def text(self, key: str, default: str | None = None, *, allowed: tuple[str, ...] = ()) -> str:
        """The text at `key`, one of `allowed` when that is given."""
        value = self._get(key, default)
        if not isinstance(value, str) or (allowed and value not in allowed):
            expected = f"one of {', '.join(allowed)}" if allowed else "text"
            raise WeightError(f"{self._prefix}{key} is {value!r}; {expected} is needed")
        return value

    def flag(self, key: str, default: bool) -> bool:  # noqa: FBT001  a default, as of the other methods
        """The true or false at `key`."""
        value = self._get(key, default)
        if not isinstance(value, bool):
            raise WeightError(f"{self._prefix}{key} is {value!r}; true or false is needed")
        return value

    def mapping(self, key: str) -> Mapping[str, Any]:
        """The object at `key`; an empty one where there is none."""
        value = self._get(key, {})
        if not isinstance(value, dict):
            raise WeightError(f"{self._prefix}{key} is {value!r}; an object is needed")
        return value

    def texts(self, key: str) -> list[str] | None:
        """The list of texts at `key`; None where there is none."""
        value = self._get(key, None)
        if value is not None and not (isinstance(value, list) and all(isinstance(one, str) for one in value)):
            raise WeightError(f"{self._prefix}{key} is {value!r}; a list of texts is needed")
        return value

    def integers(self, key: str) -> list[int] | None:
        """The list of whole numbers at `key`; None where there is none."""
        value = self._get(key, None)
        if value is not None and not (isinstance(value, list) and all(type(one) is int for one in value)):
            raise WeightError(f"{self._prefix}{key} is {value!r}; a list of whole numbers is needed")
        return value

    def numbers(self, key: str) -> list[float] | None:
        """The list of finite numbers at `key`; None where there is none."""
        value = self._get(key, None)
        if value is None:
            return None
        if not isinstance(value, list) or not all(
            type(one) in (int, float) and abs(one) < float("inf") for one in value
        ):
            raise WeightError(f"{self._prefix}{key} is {value!r}; a list of numbers is needed")
        return [float(one) for one in value]

    def _get(self, key: str, default: Any) -> Any:
        value = self._values.get(key)
        return default if value is None else value
