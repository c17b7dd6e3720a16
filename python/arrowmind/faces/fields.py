"""What an operation takes: each field checked by one rule, which also tells its JSON schema."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from arrowmind.errors import InvalidArgumentError
from arrowmind.faces.moments import parse_expiry, parse_moment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["Field", "check_fields", "query_fields", "schema_of"]

_MOST_IDS = 10_000
_WHOLE_IN_QUERIES = ("count", "before", "top_k", "hits")
_DIGITS = re.compile("[0-9]{1,19}", re.ASCII)
_LARGEST_ID = 2**63 - 1


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise InvalidArgumentError(f"{name} is {value!r:.60}; give a text")
    return value


def _object(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidArgumentError(f"{name} is {value!r:.60}; give an object")
    return value


def _whole(value: Any, name: str) -> int:
    if isinstance(value, float) and value.is_integer():  # some clients write 3.0
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= _LARGEST_ID:
        raise InvalidArgumentError(f"{name} is {value!r:.60}; give a whole number above 0")
    return value


def _whole_numbers(value: Any, name: str) -> list[int]:
    if not isinstance(value, list) or not 0 < len(value) <= _MOST_IDS:
        raise InvalidArgumentError(f"{name} is {value!r:.60}; give a list of 1 to {_MOST_IDS} ids")
    return [_whole(number, name) for number in value]


def _number(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidArgumentError(f"{name} is {value!r:.60}; give a number")
    return value


def _bytes(value: Any, name: str) -> bytes:
    try:
        return base64.b64decode(_text(value, name), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidArgumentError(f"{name} is no base64 ({error}); encode the bytes of the file") from error


_MOMENT = {"type": ["string", "number"], "description": "ISO 8601, or seconds since 1970"}
_KINDS: dict[str, tuple[Callable[[Any, str], Any], dict[str, Any]]] = {
    "text": (_text, {"type": "string"}),
    "object": (_object, {"type": "object"}),
    "whole": (_whole, {"type": "integer", "minimum": 1}),
    "ids": (
        _whole_numbers,
        {"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 1, "maxItems": _MOST_IDS},
    ),
    "number": (_number, {"type": "number"}),
    "moment": (parse_moment, _MOMENT),
    "expiry": (parse_expiry, _MOMENT),
    "bytes": (_bytes, {"type": "string", "contentEncoding": "base64"}),
}


@dataclass(frozen=True)
class Field:
    """One field of a request.

    Attributes:
        name: its name.
        kind: `text`, `object`, `whole`, `ids`, `number`, `moment`, `expiry` or `bytes` (as base64).
        help: what it is, for people and for language models.
        required: whether it must be there.
        more: what the JSON schema says beside type and description.
    """

    name: str
    kind: str
    help: str
    required: bool = False
    more: Mapping[str, Any] = field(default_factory=dict)

    def schema(self) -> dict[str, Any]:
        """Its JSON schema."""
        return {**_KINDS[self.kind][1], **self.more, "description": self.help}


def check_fields(values: Mapping[str, Any], fields: Sequence[Field]) -> dict[str, Any]:
    """The fields that are there, in the types of Python; null stands for not given.

    Raises:
        InvalidArgumentError: one is unknown, missing, or of another type.
    """
    given = {name: value for name, value in values.items() if value is not None}
    known = {one.name: one for one in fields}
    for name in given:
        if name not in known:
            raise InvalidArgumentError(f"{name!r:.60} is unknown; give {', '.join(known) or 'nothing'}")
    for one in fields:
        if one.required and one.name not in given:
            raise InvalidArgumentError(f"{one.name} is missing; give it: {one.help}")
    return {name: _KINDS[known[name].kind][0](value, name) for name, value in given.items()}


def schema_of(fields: Sequence[Field]) -> dict[str, Any]:
    """The JSON schema of an object with these fields."""
    return {
        "type": "object",
        "properties": {one.name: one.schema() for one in fields},
        "required": [one.name for one in fields if one.required],
        "additionalProperties": False,
    }


def query_fields(query: Mapping[str, str]) -> dict[str, Any]:
    """Fields out of the query of an address, where whole numbers are texts; empty ones are not given."""
    return {
        name: int(value) if name in _WHOLE_IN_QUERIES and _DIGITS.fullmatch(value) else value
        for name, value in query.items()
        if value
    }
