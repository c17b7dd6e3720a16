"""Tools: calls that a model writes become calls, streamed or not, and what only looks like one stays text."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.writers import write_bytes_model
from tests.server.conftest import KEY, listening

from arrowmind import ArrowEngine
from arrowmind.errors import InvalidArgumentError
from arrowmind.server.tools import AnswerReader, read_tools, with_objects

TEMPLATE = (
    "{% for tool in tools or [] %}tool {{ tool.function.name }};{% endfor %}"
    "{% for message in messages %}<|{{ message.role }}|>{{ message.content or '' }}"
    "{% for call in message.tool_calls or [] %}{{ call.function.name }}={{ call.function.arguments.city }}"
    "{% endfor %}{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
CITY = {"type": "object", "properties": {"city": {"enum": ["Rome", "Oslo"]}}, "required": ["city"]}
WEATHER = {
    "type": "function",
    "function": {"name": "weather", "parameters": {**CITY, "additionalProperties": False}},
}
CLOCK = {"type": "function", "function": {"name": "clock", "description": "What time it is."}}
MESSAGES = [{"role": "user", "content": "Is it warm in Rome?"}]
CALL = '{"name": "weather", "arguments": {"city": "Rome"}}'
# Answers, and the text and calls that are in them.
ANSWERS = {
    "plain text": ("It is warm.", "It is warm.", []),
    "nothing": ("", "", []),
    "between tags": (f"<tool_call>\n{CALL}\n</tool_call>", "", ["weather"]),
    "behind a text": (f"I look.\n<tool_call>{CALL}</tool_call>", "I look.\n", ["weather"]),
    "two": (
        f'<tool_call>{CALL}</tool_call>\n<tool_call>{{"name": "clock"}}</tool_call>',
        "",
        ["weather", "clock"],
    ),
    "alone": (f"  {CALL}", "", ["weather"]),
    "with parameters": ('{"name": "weather", "parameters": {"city": "Oslo"}}', "", ["weather"]),
    "in a list": (f'[TOOL_CALLS] [{CALL}, {{"name": "clock", "arguments": {{}}}}]', "", ["weather", "clock"]),
    "another tool": ('{"name": "rain", "arguments": {}}', '{"name": "rain", "arguments": {}}', []),
    "other JSON": ("[1, 2]", "[1, 2]", []),
    "arguments that are none": ('{"name": "clock", "arguments": 1}',) * 2 + ([],),
    "half a call": (f"<tool_call>{CALL[:-4]}", f"<tool_call>{CALL[:-4]}", []),
    "half a tag": ("a <tool_ca", "a <tool_ca", []),
    "deep": ("[" * 100_000, "[" * 100_000, []),
}


def use(**fields):
    return read_tools({"tools": [WEATHER, CLOCK], **fields})


def read(text, cuts=()):
    """What is told of a text that comes in pieces, and the names of its calls."""
    reader, told, begin = AnswerReader(use()), "", 0
    for end in [*sorted(cut % (len(text) + 1) for cut in cuts), len(text)]:
        told += reader.feed(text[begin:end])
        begin = end
    rest, calls = reader.finish()
    return told + rest, [call.name for call in calls]


@pytest.mark.parametrize("name", ANSWERS)
@settings(max_examples=20, derandomize=True, deadline=None)
@given(cuts=st.lists(st.integers(0, 200), max_size=6))
def test_answers_are_read_alike_however_they_are_cut(name, cuts):
    text, told, calls = ANSWERS[name]
    assert read(text, cuts) == (told, calls)


def test_text_is_told_as_it_comes():
    reader = AnswerReader(use())
    assert [reader.feed(part) for part in ("It is", " warm <to", "day", " <tool_call>{")] == [
        "It is",
        " warm ",
        "<today",
        " ",
    ]


def test_one_call_where_several_are_not_wanted():
    reader = AnswerReader(use(parallel_tool_calls=False))
    reader.feed(ANSWERS["two"][0])
    assert [call.name for call in reader.finish()[1]] == ["weather"]


def test_no_tools_and_none_of_them_are_no_use():
    assert read_tools({}) is None
    assert read_tools({"tools": [], "tool_choice": "auto"}) is None
    assert use(tool_choice="none") is None
    assert use().schema() is None


def test_definitions_go_to_the_root():
    def tool(name, **definitions):
        schema = {"type": "object", "properties": {"x": {"$ref": "#/$defs/x"}}, "$defs": definitions}
        return {"type": "function", "function": {"name": name, "parameters": schema}}

    tools = [tool("a", x={"type": "integer"}), tool("b", x={"type": "string"})]
    named = read_tools({"tools": tools, "tool_choice": {"type": "function", "function": {"name": "b"}}})
    assert named.schema()["$defs"] == {"x": {"type": "string"}}
    with pytest.raises(InvalidArgumentError, match="tool 'b' defines 'x' unlike another"):
        read_tools({"tools": tools, "tool_choice": "required"}).schema()


def test_arguments_come_to_templates_as_objects():
    call = {"id": "1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Rome"}'}}
    (message,) = with_objects([{"role": "assistant", "content": None, "tool_calls": [call]}])
    assert message["tool_calls"][0]["function"] == {"name": "weather", "arguments": {"city": "Rome"}}
    assert call["function"]["arguments"] == '{"city": "Rome"}'


# --- the real client

openai = pytest.importorskip("openai")
pytest.importorskip("llguidance")
TAGGED = r'I see\. <tool_call>\{"name": "weather", "arguments": \{"city": "(Rome|Oslo)"\}\}</tool_call>'


@pytest.fixture(scope="module")
def speaker(tmp_path_factory):
    folder = write_bytes_model(tmp_path_factory.mktemp("models") / "tools", template=TEMPLATE)
    opened = ArrowEngine(folder, threads=2)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def chat(speaker):
    with (
        listening({"speaker": speaker}, keys=[KEY]) as address,
        openai.OpenAI(base_url=f"{address}/v1", api_key=KEY, max_retries=0, timeout=60) as client,
    ):

        def create(messages=MESSAGES, **fields):
            fields = {"tools": [WEATHER, CLOCK], "max_tokens": 120, "seed": 3, **fields}
            return client.chat.completions.create(model="speaker", messages=messages, **fields)

        yield create


def check_call(call):
    assert call.type == "function"
    assert call.function.name == "weather"
    assert json.loads(call.function.arguments)["city"] in ("Rome", "Oslo")


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "weather"}}])
def test_a_call_that_is_demanded_satisfies_its_schema(chat, choice):
    found = chat(tools=[WEATHER], tool_choice=choice).choices[0]
    assert found.finish_reason == "tool_calls"
    assert found.message.content is None
    (call,) = found.message.tool_calls
    check_call(call)


def test_one_of_several_tools_is_called(chat):
    names = {
        chat(tool_choice="required", seed=seed, extra_body={"ignore_eos": False})
        .choices[0]
        .message.tool_calls[0]
        .function.name
        for seed in range(3)
    }
    assert names <= {"weather", "clock"}


def test_a_call_that_the_model_chose(chat):
    found = chat(extra_body={"regex": TAGGED}).choices[0]
    assert (found.finish_reason, found.message.content) == ("tool_calls", "I see.")
    check_call(found.message.tool_calls[0])


@pytest.mark.parametrize("fields", [{"extra_body": {"regex": TAGGED}}, {"tool_choice": "required"}])
def test_streamed_calls_are_those_of_the_whole_answer(chat, fields):
    fields = {"tools": [WEATHER], **fields}
    whole = chat(**fields).choices[0].message
    text, calls, reasons = "", [], []
    for chunk in chat(stream=True, **fields):
        choice = chunk.choices[0]
        text += choice.delta.content or ""
        calls += choice.delta.tool_calls or []
        reasons.append(choice.finish_reason)
    assert text.strip() == (whole.content or "")
    assert [call.index for call in calls] == [0]
    assert calls[0].function == type(calls[0].function)(**whole.tool_calls[0].function.model_dump())
    assert reasons[-1] == "tool_calls"
    assert set(reasons[:-1]) == {None}


def test_an_answer_without_calls_is_text(chat):
    found = chat(extra_body={"regex": "It is warm( today)?"}).choices[0]
    assert found.message.tool_calls is None
    assert found.message.content.startswith("It is warm")
    assert found.finish_reason == "stop"


def test_tools_and_the_answers_of_tools_reach_the_template(chat, speaker):
    call = {"id": "1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Rome"}'}}
    messages = [
        *MESSAGES,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": "31 degrees"},
    ]
    found = chat(messages, max_tokens=1)
    rendered = (
        "tool weather;tool clock;<|user|>Is it warm in Rome?<|assistant|>weather=Rome<|tool|>31 degrees"
        "<|assistant|>"
    )
    expected = speaker.generator.prompts.ids(with_objects(messages), tools=[WEATHER, CLOCK])
    assert found.usage.prompt_tokens == len(expected)
    assert (
        speaker.generator.prompts.template.render(with_objects(messages), tools=[WEATHER, CLOCK]) == rendered
    )
