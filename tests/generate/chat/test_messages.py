"""Messages that are none, by path."""

from __future__ import annotations

import math
from types import MappingProxyType

import pytest

from arrowmind.errors import InvalidArgumentError
from arrowmind.generate import ChatTemplate

PLAIN = ChatTemplate("{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}")


class Loud(str):
    __slots__ = ()

    def __str__(self):
        raise AssertionError("called")


@pytest.mark.parametrize(
    ("messages", "where"),
    [
        (None, "messages is NoneType"),
        ("hi", "messages is str"),
        ({"role": "user"}, "messages is dict"),
        ([], "messages is empty"),
        (["hi"], r"messages\[0\] is str"),
        ([{}], r"messages\[0\].role is None"),
        ([{"role": "user"}], r"messages\[0\] has nothing but a role"),
        ([{"role": 3, "content": "x"}], r"messages\[0\].role is 3"),
        ([{"role": "user", "content": 3}], r"messages\[0\].content is 3"),
        ([{"role": "user", "content": ["x"]}], r"messages\[0\].content"),
        ([{"role": "user", "content": b"x"}], r"messages\[0\].content is bytes"),
        ([{"role": "user", "content": "x", "n": math.nan}], r"messages\[0\].n is float nan"),
        ([{"role": "user", "content": "x", "o": object()}], r"messages\[0\].o is object"),
        ([{"role": "user", "content": "x", 3: 1}], "3 as a key"),
    ],
)
def test_is_refused_by_path(messages, where):
    with pytest.raises(InvalidArgumentError, match=where):
        PLAIN.render(messages)


def test_nesting_without_end_is_refused():
    endless = []
    endless.append(endless)
    with pytest.raises(InvalidArgumentError, match="nested more than"):
        PLAIN.render([{"role": "user", "content": "x", "more": endless}])


def test_other_mappings_and_strings_are_copied():
    assert PLAIN.render((MappingProxyType({"role": "user", "content": Loud("hi")}),)) == "user: hi\n"


@pytest.mark.parametrize("tools", ["x", {"a": 1}, [1], [object()]])
def test_tools_that_are_none(tools):
    with pytest.raises(InvalidArgumentError, match="tools"):
        PLAIN.render([{"role": "user", "content": "x"}], tools=tools)
