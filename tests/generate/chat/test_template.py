"""Templates of the public formats give what they are to give, and what transformers gives where it is."""

from __future__ import annotations

import datetime
import importlib.util

import pytest
from tests.reference.chat_templates import (
    CALLS,
    CHATML,
    CONVERSATIONS,
    HEADERS,
    PARTS,
    TALK,
    TEMPLATES,
    TOOLS,
    TURNS,
)

from arrowmind.errors import InvalidArgumentError
from arrowmind.generate import ChatTemplate

TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}


def template(source, **options):
    return ChatTemplate(source, special_tokens=TOKENS, **options)


def test_chatml():
    assert template(CHATML).render(TALK[-1:]) == (
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
        "<|im_start|>user\nWhat is 2 + 2?<|im_end|>\n<|im_start|>assistant\n"
    )


def test_tools_are_json_that_keeps_characters():
    text = template(CHATML).render(TALK[-1:], tools=TOOLS)
    assert '\n{"type": "function", "function": {"name": "add", ' in text
    assert '"note": "\u00e9<"}' in text


def test_the_template_may_refuse():
    twice = [TALK[0], TALK[0]]
    with pytest.raises(InvalidArgumentError, match="refuses the messages: conversation roles must alternate"):
        template(TEMPLATES["instructions"]).render(twice)


def test_the_date_is_todays():
    made = template(HEADERS, now=lambda: datetime.datetime(2026, 2, 3))
    assert "Today Date: 03 Feb 2026" in made.render(TALK, variables={"use_date": True})
    assert "Today Date: 26 Jul 2024" in made.render(TALK)


def test_a_last_message_is_continued():
    messages = [TALK[0], {"role": "assistant", "content": "The answer is "}]
    for source in TEMPLATES.values():
        text = template(source).render(messages, continue_final_message=True)
        assert text.endswith("The answer is")


def test_parts_of_content():
    assert "see<image><end_of_turn>" in template(TURNS).render(PARTS)
    assert template(TURNS).render(PARTS, continue_final_message=False)
    with pytest.raises(InvalidArgumentError, match="only text can be continued"):
        template(TURNS).render(PARTS, continue_final_message=True)


def test_the_callers_messages_are_not_touched():
    messages = [dict(TALK[0])]
    template(CHATML).render(messages, continue_final_message=True)
    assert messages == [TALK[0]]


def cases():
    for name in TEMPLATES:
        for kind, conversation in CONVERSATIONS.items():
            if (name, kind) != ("instructions", "system"):
                yield pytest.param(name, conversation, None, id=f"{name}-{kind}")
            yield pytest.param(name, conversation, TOOLS, id=f"{name}-{kind}-tools")
    yield pytest.param("headers", CALLS, TOOLS, id="headers-calls")
    yield pytest.param("turns", PARTS, None, id="turns-parts")


@pytest.mark.skipif(importlib.util.find_spec("transformers") is None, reason="transformers is not installed")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("prompt", [True, False], ids=["prompt", "no prompt"])
@pytest.mark.parametrize(("name", "messages", "tools"), list(cases()))
def test_is_what_transformers_gives(name, messages, tools, prompt):
    from transformers.utils.chat_template_utils import render_jinja_template

    expected = render_jinja_template(
        conversations=[messages],
        tools=tools,
        chat_template=TEMPLATES[name],
        add_generation_prompt=prompt,
        **TOKENS,
    )
    rendered = expected[0][0] if isinstance(expected, tuple) else expected[0]
    assert template(TEMPLATES[name]).render(messages, tools=tools, add_generation_prompt=prompt) == rendered
