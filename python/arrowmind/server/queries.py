"""The JSON of a request for text, checked field by field. What is not known is refused, not ignored."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from arrowmind.engine.generation import GenerationRequest
from arrowmind.engine.prompts import split_prompts
from arrowmind.errors import InvalidArgumentError
from arrowmind.generate import SamplingParameters, checks
from arrowmind.server.tools import read_tools, with_objects

if TYPE_CHECKING:
    from arrowmind.config import ServerSettings
    from arrowmind.engine.prompts import Prompt
    from arrowmind.server.tools import ToolUse

__all__ = ["TextQuery", "chat_query", "completion_query", "model_of"]

_SAMPLING = (
    *("temperature", "top_p", "seed", "stop", "frequency_penalty", "presence_penalty"),
    # Not of OpenAI's interface; clients send them as extra_body.
    *("top_k", "min_p", "repetition_penalty", "ignore_eos", "stop_ids"),
)
_CONSTRAINTS = ("grammar", "regex")
_COMMON = frozenset(
    (*_SAMPLING, *_CONSTRAINTS, "model", "n", "stream", "stream_options", "max_tokens", "logit_bias", "draft")
) | {"logprobs", "response_format"}
_CHAT = _COMMON | {"messages", "max_completion_tokens", "top_logprobs", "chat_template_kwargs"}
_COMPLETION = _COMMON | {"prompt"}
# They concern OpenAI's own service, or only say what is done anyway.
_WITHOUT_EFFECT = frozenset(
    (
        "user",
        "metadata",
        "store",
        "service_tier",
        "safety_identifier",
        "prompt_cache_key",
    )
)
# Fields that are understood at these values only.
_FIXED = {
    "best_of": (1,),
    "echo": (False,),
    "suffix": ("",),
    "functions": ([],),
    "function_call": ("none", "auto"),
    "modalities": (["text"],),
}
_MOST_TOP_LOGPROBS = 20
_DEFAULT_TEMPERATURE = 1.0
_DEFAULT_COMPLETION_TOKENS = 16


@dataclasses.dataclass(frozen=True)
class TextQuery:
    """A request for text.

    Attributes:
        model: Its name.
        prompts: What to answer.
        request: How.
        count: Answers to each prompt.
        stream: Send tokens as they come.
        include_usage: End a stream with the counts.
        is_chat: Whether the answer is a message.
        tools: What it may call; None for nothing.
    """

    model: str
    prompts: tuple[Prompt, ...]
    request: GenerationRequest
    count: int
    stream: bool
    include_usage: bool
    is_chat: bool
    tools: ToolUse | None = None


def model_of(body: Mapping[str, Any]) -> str:
    """The name of the model that a request asks for."""
    name = body.get("model")
    if not isinstance(name, str):
        raise InvalidArgumentError(f"model is {name!r:.80}; name one of those that /v1/models lists")
    return name


def chat_query(body: Mapping[str, Any], settings: ServerSettings) -> TextQuery:
    """A request to /v1/chat/completions.

    Raises:
        InvalidArgumentError: A field is unknown or cannot be used.
    """
    body = {name: value for name, value in body.items() if value is not None}
    tools = read_tools(body)
    body = _given(body, _CHAT)
    if "max_completion_tokens" in body:
        body["max_tokens"] = body.pop("max_completion_tokens")
    wanted = checks.flag("logprobs", body.pop("logprobs", False))
    top = checks.whole("top_logprobs", body.pop("top_logprobs", 0), 0, _MOST_TOP_LOGPROBS)
    if top and not wanted:
        raise InvalidArgumentError(f"top_logprobs is {top} without logprobs; set logprobs to true")
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise InvalidArgumentError(
            f"messages is {messages!r:.80}; give a list of messages with role and content"
        )
    variables = body.pop("chat_template_kwargs", None)
    query = _query(
        body, settings, (with_objects(messages),), top if wanted else None, settings.max_tokens, variables
    )
    return query if tools is None else _with_tools(query, tools)


def completion_query(body: Mapping[str, Any], settings: ServerSettings) -> TextQuery:
    """A request to /v1/completions.

    Raises:
        InvalidArgumentError: A field is unknown or cannot be used.
    """
    body = _given(body, _COMPLETION)
    prompts, _ = split_prompts(body.get("prompt"))
    if any(isinstance(prompt, Mapping) for prompt in [*prompts, *_first_items(prompts)]):
        raise InvalidArgumentError("prompt holds messages; send them to /v1/chat/completions")
    top = body.pop("logprobs", None)
    top = None if top is None else checks.whole("logprobs", top, 0, _MOST_TOP_LOGPROBS)
    return _query(body, settings, tuple(prompts), top, _DEFAULT_COMPLETION_TOKENS, None)


def _query(
    body: dict[str, Any],
    settings: ServerSettings,
    prompts: tuple[Prompt, ...],
    logprobs: int | None,
    default_tokens: int,
    variables: Mapping[str, Any] | None,
) -> TextQuery:
    count = checks.whole("n", body.get("n", 1), 1, settings.max_choices)
    if count * len(prompts) > settings.max_choices:
        raise InvalidArgumentError(
            f"{len(prompts)} prompts with {count} answers each; ask for up to {settings.max_choices} at once"
        )
    default_tokens = min(default_tokens, settings.max_tokens)
    sampling = SamplingParameters(
        **{
            "temperature": _DEFAULT_TEMPERATURE,
            **{name: body[name] for name in _SAMPLING if name in body},
            "max_tokens": checks.whole(
                "max_tokens", body.get("max_tokens", default_tokens), 1, settings.max_tokens
            ),
            "logprobs": logprobs,
            "logit_bias": _bias(body.get("logit_bias", {})),
        }
    )
    request = GenerationRequest(
        sampling,
        json_schema=_schema(body.get("response_format")),
        **{name: body[name] for name in _CONSTRAINTS if name in body},
        draft=body.get("draft"),
        template_variables=_object("chat_template_kwargs", variables),
    )
    stream = checks.flag("stream", body.get("stream", False))
    options = _object("stream_options", body.get("stream_options")) or {}
    include_usage = checks.flag("stream_options.include_usage", options.get("include_usage", False))
    return TextQuery(model_of(body), prompts, request, count, stream, include_usage, "messages" in body)


def _with_tools(query: TextQuery, tools: ToolUse) -> TextQuery:
    request, schema = query.request, tools.schema()
    constraints = (request.json_schema, request.grammar, request.regex)
    if schema is not None and any(one is not None for one in constraints):
        raise InvalidArgumentError(
            "tool_choice demands a call, and response_format, grammar or regex another answer; give one"
        )
    request = dataclasses.replace(
        request, tools=tools.tools, json_schema=request.json_schema if schema is None else schema
    )
    return dataclasses.replace(query, request=request, tools=tools)


def _given(body: Mapping[str, Any], known: frozenset[str]) -> dict[str, Any]:
    """The fields that are there and mean something; null means not given."""
    given = {name: value for name, value in body.items() if value is not None}
    for name, values in _FIXED.items():
        if name in given and given.pop(name) not in values:
            raise InvalidArgumentError(f"{name} is not supported; leave it out")
    unknown = sorted(given.keys() - known - _WITHOUT_EFFECT)
    if unknown:
        raise InvalidArgumentError(f"unknown field {unknown[0]!r:.60}; leave it out")
    return {name: value for name, value in given.items() if name in known}


def _first_items(prompts: list[Any]) -> list[Any]:
    return [prompt[0] for prompt in prompts if isinstance(prompt, list) and prompt]


def _object(name: str, value: object) -> Mapping[str, Any] | None:
    if value is None or isinstance(value, Mapping):
        return value
    raise InvalidArgumentError(f"{name} is {value!r:.60}; use an object")


def _bias(value: object) -> dict[int, Any]:
    given = _object("logit_bias", value) or {}
    biases = {}
    for key, bias in given.items():
        if not key.isascii() or not key.isdigit() or len(key) > 9:
            raise InvalidArgumentError(f"logit_bias has the key {key!r:.40}; use token ids")
        # The interface calls -100 a ban.
        biases[int(key)] = float("-inf") if bias == -100 else bias
    return biases


def _schema(value: object) -> Mapping[str, Any] | None:
    form = _object("response_format", value)
    kind = None if form is None else form.get("type")
    if form is None or kind == "text":
        return None
    if kind == "json_object":
        return {"type": "object"}
    described = form.get("json_schema") if kind == "json_schema" else None
    schema = described.get("schema") if isinstance(described, Mapping) else None
    if not isinstance(schema, Mapping):
        raise InvalidArgumentError(
            f"response_format is {value!r:.80}; use text, json_object, or json_schema with its schema"
        )
    return schema
