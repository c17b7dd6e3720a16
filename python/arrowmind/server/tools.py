"""Tools of a chat: what a request offers, what an answer that must call one has to be, and how one is read.

Models write calls in the way their templates taught them: between `<tool_call>` and `</tool_call>` (Hermes,
Qwen), or as JSON alone, after `[TOOL_CALLS]` or not (Llama 3, Mistral). Each call is an object with a name
and arguments, which Llama calls parameters.
"""

from __future__ import annotations

import dataclasses
import json
import re
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from arrowmind.errors import InvalidArgumentError
from arrowmind.generate import checks

__all__ = ["AnswerReader", "ToolCall", "ToolUse", "read_tools", "with_objects"]

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MOST_TOOLS = 128
_OPEN, _CLOSE = "<tool_call>", "</tool_call>"
_LIST = "[TOOL_CALLS]"
_BEGINNINGS = ("{", _LIST[0])
# As chat templates write calls: models have seen them so.
_FORM = {
    "x-guidance": {
        "whitespace_flexible": False,
        "whitespace_pattern": None,
        "item_separator": ", ",
        "key_separator": ": ",
    }
}
_DEFINITIONS = ("$defs", "definitions")


@dataclasses.dataclass(frozen=True)
class ToolCall:
    """A call that a model asks for.

    Attributes:
        name: Of the tool.
        arguments: A JSON object, as text.
        identity: What the caller's answer to it names.
    """

    name: str
    arguments: str
    identity: str = dataclasses.field(default_factory=lambda: f"call_{secrets.token_hex(12)}")

    def to_dict(self) -> dict[str, Any]:
        """As OpenAI's interface has it."""
        function = {"name": self.name, "arguments": self.arguments}
        return {"id": self.identity, "type": "function", "function": function}


@dataclasses.dataclass(frozen=True)
class ToolUse:
    """Tools that an answer may call.

    Attributes:
        tools: Their descriptions, for the chat template.
        schemas: Of the arguments of each, by its name.
        required: The names one of which must be called; empty where the model may answer with text.
        parallel: Whether an answer may call several; else the first counts.
    """

    tools: tuple[Mapping[str, Any], ...]
    schemas: Mapping[str, Mapping[str, Any]]
    required: tuple[str, ...] = ()
    parallel: bool = True

    def schema(self) -> dict[str, Any] | None:
        """What an answer that must call a tool satisfies: one call; None where it may be text.

        Raises:
            InvalidArgumentError: Two tools define something else by one name.
        """
        if not self.required:
            return None
        definitions: dict[str, dict[str, Any]] = {}
        calls = [_call_schema(name, self.schemas[name], definitions) for name in self.required]
        return {**(calls[0] if len(calls) == 1 else {"anyOf": calls}), **definitions, **_FORM}


def read_tools(body: dict[str, Any]) -> ToolUse | None:
    """Takes the fields that concern tools out of a request.

    Returns:
        None where no tool may be called.

    Raises:
        InvalidArgumentError: One of them cannot be used.
    """
    tools, choice = body.pop("tools", None) or [], body.pop("tool_choice", None)
    parallel = body.pop("parallel_tool_calls", None)
    parallel = True if parallel is None else checks.flag("parallel_tool_calls", parallel)
    if not isinstance(tools, Sequence) or isinstance(tools, str) or len(tools) > _MOST_TOOLS:
        raise InvalidArgumentError(f"tools is {tools!r:.60}; give a list of up to {_MOST_TOOLS} functions")
    schemas: dict[str, Mapping[str, Any]] = {}
    for place, tool in enumerate(tools):
        name, schema = _function(f"tools[{place}]", tool)
        if name in schemas:
            raise InvalidArgumentError(f"tools[{place}] is called {name!r}, as one before it; rename one")
        schemas[name] = schema
    required = _required(choice, schemas)
    if not tools or choice == "none":
        return None
    return ToolUse(tuple(tools), schemas, required, parallel)


def with_objects(messages: list[Any]) -> list[Any]:
    """Messages whose calls have their arguments as objects, as chat templates want them.

    Raises:
        InvalidArgumentError: Arguments are no JSON object.
    """
    return [_with_objects(f"messages[{place}]", message) for place, message in enumerate(messages)]


class AnswerReader:
    """Reads one answer piece by piece: text that is certain to be text goes on, calls are held to the end."""

    def __init__(self, use: ToolUse) -> None:
        """Of an answer that has not begun."""
        self._use = use
        self._held = ""
        self._begun = self._holds = bool(use.required)

    def feed(self, text: str) -> str:
        """The part of all text so far that can be told and was not told yet."""
        self._held += text
        if not self._begun:
            self._begin()
        if self._holds or not self._begun:
            return ""
        at = self._held.find(_OPEN)
        if at >= 0:
            self._holds = True
        else:
            at = len(self._held) - _overlap(self._held, _OPEN)
        told, self._held = self._held[:at], self._held[at:]
        return told

    def finish(self) -> tuple[str, list[ToolCall]]:
        """What was held: as calls, or, where it is none, as text."""
        held, self._held = self._held, ""
        calls = self._calls(held)
        return ("", calls) if calls else (held, [])

    def _begin(self) -> None:
        """Whether the first letter may be that of a call that stands alone."""
        text = self._held.lstrip()
        self._begun, self._holds = bool(text), text.startswith(_BEGINNINGS)

    def _calls(self, text: str) -> list[ToolCall]:
        if _OPEN in text:
            parts = [part.partition(_CLOSE)[0] for part in text.split(_OPEN)[1:]]
        else:
            parts = [text.strip().removeprefix(_LIST)]
        calls = [self._call(item) for part in parts for item in _items(part)]
        known = [call for call in calls if call is not None]
        if len(known) < len(calls):
            return []  # what is no call is not dropped, it is text
        return known if self._use.parallel else known[:1]

    def _call(self, item: Any) -> ToolCall | None:
        if not isinstance(item, dict) or item.get("name") not in self._use.schemas:
            return None
        arguments = item.get("arguments", item.get("parameters", {}))
        if not isinstance(arguments, dict):
            return None
        return ToolCall(item["name"], json.dumps(arguments, ensure_ascii=False))


def _items(text: str) -> list[Any]:
    """The calls of JSON text: an object, or a list of them; [None] for what is no JSON."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return [None]
    return found if isinstance(found, list) and found else [found]


def _overlap(text: str, marker: str) -> int:
    """How many letters at the end of `text` may be the beginning of `marker`."""
    longest = min(len(text), len(marker) - 1)
    return next((size for size in range(longest, 0, -1) if text.endswith(marker[:size])), 0)


def _function(path: str, tool: object) -> tuple[str, Mapping[str, Any]]:
    function = tool.get("function") if isinstance(tool, Mapping) and tool.get("type") == "function" else None
    if not isinstance(function, Mapping):
        raise InvalidArgumentError(
            f'{path} is {tool!r:.60}; use {{"type": "function", "function": {{"name": ...}}}}'
        )
    name, schema = function.get("name"), function.get("parameters")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidArgumentError(
            f"{path}.function.name is {name!r:.80}; use 1 to 64 letters, digits, - and _"
        )
    if schema is not None and not isinstance(schema, Mapping):
        raise InvalidArgumentError(f"{path}.function.parameters is {schema!r:.60}; give a JSON schema")
    return name, schema or {"type": "object", "additionalProperties": False}


def _required(choice: object, schemas: Mapping[str, Any]) -> tuple[str, ...]:
    if choice in (None, "auto", "none"):
        return ()
    if choice == "required":
        if not schemas:
            raise InvalidArgumentError("tool_choice is 'required' without tools; give some")
        return tuple(schemas)
    function = choice.get("function") if isinstance(choice, Mapping) else None
    name = function.get("name") if isinstance(function, Mapping) else None
    if not isinstance(name, str) or name not in schemas:
        raise InvalidArgumentError(
            f"tool_choice is {choice!r:.80}; use none, auto, required, or the function of one of tools"
        )
    return (name,)


def _call_schema(
    name: str, schema: Mapping[str, Any], definitions: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    """Of a call of this tool. References lead to the root, so what they lead to is put there."""
    arguments = dict(schema)
    for key in _DEFINITIONS:
        own = arguments.pop(key, None) or {}
        known = definitions.setdefault(key, {}) if own else {}
        for title, value in own.items():
            if known.setdefault(title, value) != value:
                raise InvalidArgumentError(
                    f"tool {name!r} defines {title!r} unlike another; rename one, or require one tool by name"
                )
    return {
        "type": "object",
        "properties": {"name": {"const": name}, "arguments": {"type": "object", **arguments}},
        "required": ["name", "arguments"],
        "additionalProperties": False,
    }


def _with_objects(path: str, message: object) -> object:
    calls = message.get("tool_calls") if isinstance(message, Mapping) else None
    if not isinstance(message, Mapping) or not calls:
        return message
    if not isinstance(calls, list) or not all(isinstance(call, Mapping) for call in calls):
        raise InvalidArgumentError(f"{path}.tool_calls is {calls!r:.60}; give a list of calls")
    return {**message, "tool_calls": [_with_object(path, call) for call in calls]}


def _with_object(path: str, call: Mapping[str, Any]) -> Mapping[str, Any]:
    function = call.get("function")
    text = function.get("arguments") if isinstance(function, Mapping) else None
    if not isinstance(function, Mapping) or not isinstance(text, str):
        return call
    try:
        arguments = json.loads(text or "{}")
    except (ValueError, RecursionError):
        arguments = None
    if not isinstance(arguments, dict):
        raise InvalidArgumentError(
            f"{path} calls a tool with the arguments {text!r:.60}; give a JSON object as text"
        )
    return {**call, "function": {**function, "arguments": arguments}}
