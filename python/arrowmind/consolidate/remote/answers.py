"""Answers of language models as JSON: nothing in them is taken on trust."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from arrowmind.errors import ProviderError

if TYPE_CHECKING:
    from arrowmind.consolidate.remote.http import Answer

__all__ = ["answered_object", "count", "decoded", "text_at"]


def decoded(answer: Answer, origin: str) -> dict[str, Any]:
    """The body as an object.

    Raises:
        ProviderError: it is HTML, is cut off, or is no JSON object.
    """
    if "html" in answer.kind or answer.body.lstrip()[:1] == b"<":
        raise ProviderError(f"{origin}: answered with a page of HTML; check consolidation.url")
    try:
        text = answer.body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ProviderError(
            f"{origin}: answered with bytes that are no UTF-8", is_passing=True, is_answer=True
        ) from error
    return _object(text, origin)


def answered_object(text: str, origin: str) -> dict[str, Any]:
    """The object that an answer's text holds; a fence of a code block around it is taken off.

    Raises:
        ProviderError: there is none.
    """
    text = text.strip()
    if text.startswith("```"):
        text = text.partition("\n")[2].rpartition("```")[0]
    return _object(text, origin)


def _object(text: str, origin: str) -> dict[str, Any]:
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ProviderError(
            f"{origin}: answered with something that is no JSON ({error}); is the model able to follow a "
            "schema?",
            is_passing=True,
            is_answer=True,
        ) from error
    if not isinstance(value, dict):
        raise ProviderError(
            f"{origin}: answered with {type(value).__name__}, not an object", is_passing=True, is_answer=True
        )
    return value


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def text_at(value: Any, origin: str, *path: str | int) -> str:
    """The text at a place of a nested answer.

    Raises:
        ProviderError: there is none.
    """
    for step in path:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError) as error:
            where = ".".join(map(str, path))
            raise ProviderError(
                f"{origin}: the answer has no {where}", is_passing=True, is_answer=True
            ) from error
    if not isinstance(value, str):
        where = ".".join(map(str, path))
        raise ProviderError(f"{origin}: {where} of the answer is no text", is_passing=True, is_answer=True)
    return value


def count(value: Any, *path: str) -> int:
    """A number of tokens; 0 where the answer does not tell it, or tells nonsense."""
    for step in path:
        value = value.get(step) if isinstance(value, dict) else None
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 40
    return value if is_count else 0
