"""Numbers from callers: of the right type, within bounds, never NaN."""

from __future__ import annotations

import math
import numbers
import operator
from typing import TYPE_CHECKING, Any

from arrowmind.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["flag", "real", "strings", "token_ids", "whole"]


def real(name: str, value: object, low: float, high: float, hint: str = "") -> float:
    """`value` as a float in [low, high].

    Raises:
        InvalidArgumentError: It is no number, NaN, or outside.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise InvalidArgumentError(
            f"{name} is {type(value).__name__} {value!r:.40}; use a number from {low:g} to {high:g}{hint}"
        )
    number = float(value)
    if math.isnan(number) or not low <= number <= high:
        raise InvalidArgumentError(f"{name} is {number!r}; use a number from {low:g} to {high:g}{hint}")
    return number


def whole(name: str, value: object, low: int, high: int, hint: str = "") -> int:
    """`value` as an int in [low, high].

    Raises:
        InvalidArgumentError: It is no whole number, or outside.
    """
    bounds = f"use a whole number from {low} to {high}{hint}"
    kind: Any = value
    try:
        number = None if isinstance(value, bool) else operator.index(kind)
    except TypeError:
        number = None
    if number is None:
        raise InvalidArgumentError(f"{name} is {type(value).__name__} {value!r:.40}; {bounds}")
    if not low <= number <= high:
        raise InvalidArgumentError(f"{name} is {number}; {bounds}")
    return number


def flag(name: str, value: object) -> bool:
    """`value`, which must be True or False."""
    if not isinstance(value, bool):
        raise InvalidArgumentError(f"{name} is {type(value).__name__} {value!r:.40}; use True or False")
    return value


def strings(name: str, value: object, max_count: int, max_length: int) -> tuple[str, ...]:
    """One string or several, none of them empty, as a tuple without repetitions."""
    listed = [value] if isinstance(value, str) else _listed(name, value, "a string or a list of strings")
    for index, text in enumerate(listed):
        if not isinstance(text, str) or not 1 <= len(text) <= max_length:
            raise InvalidArgumentError(
                f"{name}[{index}] is {text!r:.60}; use a string of 1 to {max_length} characters"
            )
    if len(listed) > max_count:
        raise InvalidArgumentError(f"{name} has {len(listed)} strings; use at most {max_count}")
    return tuple(dict.fromkeys(listed))


def token_ids(name: str, value: object, vocabulary: int = 1 << 31) -> tuple[int, ...]:
    """Token ids below `vocabulary` as a tuple."""
    listed = _listed(name, value, "a list of token ids")
    return tuple(whole(f"{name}[{index}]", item, 0, vocabulary - 1) for index, item in enumerate(listed))


def _listed(name: str, value: object, wanted: str) -> list[Any]:
    if isinstance(value, (str, bytes)) or not hasattr(value, "__iter__"):
        raise InvalidArgumentError(f"{name} is {type(value).__name__} {value!r:.40}; use {wanted}")
    items: Iterable[Any] = value
    return list(items)
