"""Requests for text, field by field."""

from __future__ import annotations

import math

import pytest

from arrowmind.config import ServerSettings
from arrowmind.errors import InvalidArgumentError
from arrowmind.server.queries import chat_query, completion_query

SETTINGS = ServerSettings(max_tokens=100, max_choices=4)
MESSAGES = [{"role": "user", "content": "x"}]
TOOL = {"type": "function", "function": {"name": "weather"}}


def chat(**fields):
    return chat_query({"model": "m", "messages": MESSAGES, **fields}, SETTINGS)


def complete(**fields):
    return completion_query({"model": "m", "prompt": "x", **fields}, SETTINGS)


def test_defaults_are_those_of_the_interface():
    query = chat()
    assert (query.model, query.prompts, query.count, query.is_chat) == ("m", (MESSAGES,), 1, True)
    assert (query.request.sampling.temperature, query.request.sampling.max_tokens) == (1.0, 100)
    assert not query.stream
    assert complete().request.sampling.max_tokens == 16


def test_fields_reach_the_sampling():
    query = chat(
        max_completion_tokens=7,
        temperature=0.5,
        top_p=0.9,
        top_k=5,
        min_p=0.1,
        repetition_penalty=1.1,
        frequency_penalty=0.2,
        presence_penalty=0.3,
        seed=9,
        stop=["a", "b"],
        logit_bias={"3": -100, "4": 2},
        logprobs=True,
        top_logprobs=3,
        ignore_eos=True,
        n=2,
        stream=True,
        stream_options={"include_usage": True},
        chat_template_kwargs={"enable_thinking": False},
        user="somebody",
        response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}},
    )
    sampling = query.request.sampling
    assert (sampling.max_tokens, sampling.temperature, sampling.top_k, sampling.min_p) == (7, 0.5, 5, 0.1)
    assert (sampling.seed, sampling.stop, sampling.logprobs) == (9, ("a", "b"), 3)
    assert sampling.logit_bias == {3: -math.inf, 4: 2}
    assert (query.count, query.stream, query.include_usage) == (2, True, True)
    assert query.request.json_schema == {"type": "object"}
    assert query.request.template_variables == {"enable_thinking": False}


def test_null_is_not_given():
    query = chat(temperature=None, stop=None, tools=None, n=None, logprobs=None, response_format=None)
    assert query == chat()


def test_prompts_of_completions():
    assert complete(prompt=["a", "b"]).prompts == ("a", "b")
    assert complete(prompt=[1, 2]).prompts == ([1, 2],)
    assert complete(prompt=[[1], [2]]).prompts == ([1], [2])
    assert complete(logprobs=0).request.sampling.logprobs == 0
    assert complete(response_format={"type": "json_object"}).request.json_schema == {"type": "object"}


@pytest.mark.parametrize(
    ("make", "fields", "message"),
    [
        (chat, {"model": 3}, "model is 3"),
        (chat, {"messages": []}, "messages is"),
        (chat, {"messages": "hello"}, "messages is 'hello'"),
        (chat, {"temperature": math.nan}, "temperature is nan"),
        (chat, {"temperature": -1}, "temperature is -1"),
        (chat, {"temperature": "hot"}, "temperature is str"),
        (chat, {"top_p": 0}, "top_p is 0"),
        (chat, {"max_tokens": 101}, "max_tokens is 101"),
        (chat, {"max_tokens": 1.5}, "max_tokens is float"),
        (chat, {"n": 5}, "n is 5"),
        (chat, {"stop": [""]}, r"stop\[0\]"),
        (chat, {"top_logprobs": 2}, "without logprobs"),
        (chat, {"logprobs": True, "top_logprobs": 21}, "top_logprobs is 21"),
        (chat, {"logprobs": 2}, "logprobs is int 2"),
        (chat, {"logit_bias": {"a": 1}}, "logit_bias has the key 'a'"),
        (chat, {"logit_bias": {"1": math.nan}}, "logit_bias"),
        (chat, {"logit_bias": [1]}, "logit_bias is"),
        (chat, {"tools": [{"type": "function"}]}, r"tools\[0\] is"),
        (chat, {"tools": {}, "tool_choice": "required"}, "without tools"),
        (chat, {"tools": "x"}, "tools is 'x'"),
        (chat, {"tools": [TOOL, TOOL]}, "as one before it"),
        (chat, {"tools": [TOOL], "tool_choice": "always"}, "tool_choice is 'always'"),
        (chat, {"tools": [TOOL], "tool_choice": {"function": {"name": "other"}}}, "tool_choice is"),
        (chat, {"tools": [TOOL], "tool_choice": "required", "regex": "a"}, "demands a call"),
        (chat, {"tools": [TOOL], "parallel_tool_calls": "yes"}, "parallel_tool_calls is str"),
        (chat, {"tools": [{"type": "function", "function": {"name": "a b"}}]}, "name is 'a b'"),
        (
            chat,
            {"tools": [{"type": "function", "function": {"name": "a", "parameters": 1}}]},
            "parameters is 1",
        ),
        (
            chat,
            {"messages": [{"role": "assistant", "tool_calls": [{"function": {"arguments": "[1"}}]}]},
            "JSON object as text",
        ),
        (chat, {"frobnicate": 1}, "unknown field 'frobnicate'"),
        (chat, {"prompt": "x"}, "unknown field 'prompt'"),
        (chat, {"response_format": {"type": "xml"}}, "response_format is"),
        (chat, {"response_format": {"type": "json_schema"}}, "response_format is"),
        (chat, {"response_format": "json"}, "response_format is"),
        (chat, {"chat_template_kwargs": 1}, "chat_template_kwargs is 1"),
        (chat, {"stream": "yes"}, "stream is str"),
        (chat, {"stream_options": {"include_usage": 1}}, "include_usage is int"),
        (chat, {"seed": -1}, "seed is -1"),
        (chat, {"draft": "big"}, "draft is 'big'"),
        (complete, {"prompt": None}, "prompt is NoneType"),
        (complete, {"prompt": []}, "empty list"),
        (complete, {"prompt": ["a", "b", "c"], "n": 2}, "3 prompts with 2 answers"),
        (complete, {"prompt": MESSAGES}, "prompt holds messages"),
        (complete, {"prompt": [MESSAGES]}, "prompt holds messages"),
        (complete, {"echo": True}, "echo is not supported"),
        (complete, {"best_of": 3}, "best_of is not supported"),
        (complete, {"suffix": "end"}, "suffix is not supported"),
        (complete, {"grammar": "a", "regex": "b"}, "grammar and regex"),
    ],
)
def test_what_is_refused(make, fields, message):
    with pytest.raises(InvalidArgumentError, match=message):
        make(**fields)
