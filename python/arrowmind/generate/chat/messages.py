"""Messages and tools from callers, as plain data that a template can be given."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from arrowmind.errors import InvalidArgumentError

__all__ = ["check_messages", "check_tools", "plain"]

_DEEPEST = 48


def check_messages(messages: object) -> list[dict[str, Any]]:
    """A copy of `messages`: objects with a role, and content as text, as a list of parts, or none.

    Raises:
        InvalidArgumentError: It is no list of messages, is empty, or holds something that is no JSON.
    """
    if isinstance(messages, (str, bytes, Mapping)) or not isinstance(messages, Sequence):
        raise InvalidArgumentError(
            f'messages is {type(messages).__name__}; use a list like [{{"role": "user", "content": "..."}}]'
        )
    if not messages:
        raise InvalidArgumentError("messages is empty; give at least one message")
    return [_message(f"messages[{index}]", message) for index, message in enumerate(messages)]


def check_tools(tools: object) -> list[dict[str, Any]] | None:
    """A copy of the JSON descriptions of tools; None where there are none.

    Raises:
        InvalidArgumentError: It is no list of objects.
    """
    if tools is None:
        return None
    copied = plain("tools", tools)
    if not isinstance(copied, list) or not all(isinstance(tool, dict) for tool in copied):
        raise InvalidArgumentError(f"tools is {tools!r:.80}; use a list of JSON objects that describe them")
    return copied or None


def plain(path: str, value: Any, depth: int = 0) -> Any:
    """A copy of `value` out of None, bool, int, float, str, list and dict alone.

    Raises:
        InvalidArgumentError: Something else is in it, or it is nested too deeply.
    """
    if depth > _DEEPEST:
        raise InvalidArgumentError(f"{path} is nested more than {_DEEPEST} deep; make it flatter")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise InvalidArgumentError(f"{path} has {key!r:.40} as a key; keys are strings")
        return {str(key): plain(f"{path}.{key}", item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(f"{path}[{index}]", item, depth + 1) for index, item in enumerate(value)]
    raise InvalidArgumentError(
        f"{path} is {type(value).__name__} {value!r:.40}; use text, numbers, lists and objects as in JSON"
    )


def _message(path: str, message: object) -> dict[str, Any]:
    if not isinstance(message, Mapping):
        raise InvalidArgumentError(
            f'{path} is {type(message).__name__}; use an object like {{"role": "user", "content": "..."}}'
        )
    copied: dict[str, Any] = plain(path, message)
    role, content = copied.get("role"), copied.get("content")
    if not isinstance(role, str) or not role:
        raise InvalidArgumentError(f"{path}.role is {role!r:.40}; use a name like 'user' or 'assistant'")
    if content is None and len(copied) == 1:
        raise InvalidArgumentError(f"{path} has nothing but a role; give it content")
    if not (content is None or isinstance(content, str) or _is_parts(content)):
        raise InvalidArgumentError(
            f"{path}.content is {content!r:.40}; use text, or a list of parts with a type"
        )
    return copied


def _is_parts(content: Any) -> bool:
    return isinstance(content, list) and all(isinstance(part, dict) and "type" in part for part in content)
