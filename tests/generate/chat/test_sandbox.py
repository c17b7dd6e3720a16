"""Templates that loop, grow or reach out end soon, with an error, and leave the template usable."""

# ruff: noqa: E501  templates in one line

from __future__ import annotations

import time

import pytest

from arrowmind.errors import InvalidArgumentError
from arrowmind.generate import ChatTemplate, TemplateLimits

HELLO = [{"role": "user", "content": "hello"}]
DOUBLING = "{% set ns = namespace(x=START) %}{% for i in range(64) %}{% set ns.x = GROWN %}{% endfor %}"

LOOPS = {
    "nested": "{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}",
    "no output": "{% for a in range(9999) %}{% for b in range(9999) %}{% set c = b %}{% endfor %}{% endfor %}",
    "macro": "{% macro f(n) %}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}",
    "tree of macros": "{% macro f(n) %}{% if n %}{{ f(n - 1) ~ f(n - 1) }}{% endif %}{% endmacro %}{{ f(100) }}",
    "filters": "{% for a in range(99999) %}{% set b = range(99999) | map('string') | list %}{% endfor %}",
    "large range": "{% for a in range(10 ** 9) %}x{% endfor %}",
    "body": "{% for a in range(99999) %}" + "x" * 100_000 + "{% endfor %}",
    "body of a macro": "{% macro f() %}"
    + "x" * 100_000
    + "{% endmacro %}{% for a in range(9999) %}{{ f() }}{% endfor %}",
    "call block": "{% macro f(n) %}{% if n %}{% call f(n - 1) %}{% endcall %}{% call f(n - 1) %}{% endcall %}"
    "{% endif %}{% endmacro %}{{ f(100) }}",
}
GROWTH = {
    "text": DOUBLING.replace("START", "'x'").replace("GROWN", "ns.x ~ ns.x"),
    "sum of texts": DOUBLING.replace("START", "'x'").replace("GROWN", "ns.x + ns.x"),
    "list": DOUBLING.replace("START", "[1]").replace("GROWN", "ns.x + ns.x"),
    "list of lists": DOUBLING.replace("START", "[1]").replace("GROWN", "[ns.x, ns.x]"),
    "tuples": DOUBLING.replace("START", "[1]").replace("GROWN", "(ns.x, ns.x)"),
    "objects": DOUBLING.replace("START", "1").replace("GROWN", "{'a': ns.x, 'b': ns.x}"),
    "dict()": DOUBLING.replace("START", "1").replace("GROWN", "dict(a=ns.x, b=ns.x)"),
    "join": DOUBLING.replace("START", "'xx'").replace("GROWN", "ns.x.join([ns.x, ns.x])"),
    "replace": DOUBLING.replace("START", "'xx'").replace("GROWN", "ns.x.replace('x', 'xxxx')"),
    "replace filter": DOUBLING.replace("START", "'xx'").replace("GROWN", "ns.x | replace('x', 'xxxx')"),
    "upper": DOUBLING.replace("START", "'x'").replace("GROWN", "(ns.x | upper) ~ (ns.x | lower)"),
    "number": DOUBLING.replace("START", "3").replace("GROWN", "ns.x * ns.x"),
    "block": DOUBLING.replace("START", "'x'").replace(
        "{% set ns.x = GROWN %}", "{% set y %}{{ ns.x }}{{ ns.x }}{% endset %}{% set ns.x = y %}"
    ),
    "macro": "{% macro f(x) %}{{ x }}{{ x }}{% endmacro %}"
    + DOUBLING.replace("START", "'x'").replace("GROWN", "f(ns.x)"),
    "times": "{{ 'x' * 10 ** 12 }}",
    "times a list": "{{ [1] * 10 ** 12 }}",
    "times from the left": "{{ 10 ** 12 * 'x' }}",
    "power": "{{ 10 ** (10 ** 10) }}",
    "negative power": "{{ 2 ** -(10 ** 100) ** 60 }}",
    "width": "{{ '%1000000000000d' % 1 }}",
    "format": "{{ '{:1000000000000}'.format(1) }}",
    "centre": "{{ 'x' | center(10 ** 12) }}",
    "just": "{{ 'x'.ljust(10 ** 12) }}",
    "tabs": "{{ '\\t'.expandtabs(10 ** 12) }}",
    "indent": "{{ 'x' | indent(10 ** 12, first=true) }}",
    "tojson": "{{ [1] | tojson(indent=10 ** 12) }}",
    "round": "{{ 1.5 | round(10 ** 9, 'ceil') }}",
    "slice": "{{ [1] | slice(10 ** 9) | list }}",
    "batch": "{{ [1] | batch(10 ** 9, 0) | list }}",
    "lipsum": "{{ lipsum(n=10 ** 9) }}",
    "strftime": "{{ strftime_now('%099999999d') }}",
    "sum of lists": "{{ [[1]] | sum(start=[]) }}",
}
REACHING = [
    "{{ ''.__class__.__mro__ }}",
    "{{ ''['__class__'] }}",
    "{{ messages.__class__ }}",
    "{{ messages.append(1) }}",
    "{{ messages[0].update({'a': 1}) }}",
    "{{ messages[0].pop('role') }}",
    "{{ raise_exception.__globals__ }}",
    "{{ range.__self__ }}",
    "{{ namespace.__init__ }}",
    "{{ namespace(a=1).__class__ }}",
    "{{ self.__init__ }}",
    "{{ ''.format.__globals__ }}",
    "{{ '{0.__class__}'.format(1) }}",
    "{{ ''.encode() }}",
    "{{ messages | attr('__class__') }}",
    "{{ messages | map(attribute='__class__') | list }}",
    "{{ cycler.__init__ }}{{ cycler(1) }}",
    "{{ (messages | map('upper')).gi_frame }}",
    "{% macro f() %}{% endmacro %}{{ f._func }}",
    "{% macro f() %}{% endmacro %}{{ f.arguments }}{{ f.name.__class__ }}",
    "{% for a in messages %}{{ loop._iterator }}{% endfor %}",
    "{% for a in messages %}{{ loop.__init__.__globals__ }}{% endfor %}",
    "{% include 'x' %}",
    "{% import 'x' as x %}",
    "{% extends 'x' %}",
    "{{ namespace }}",
    "{{ messages | map('upper') }}",
    "{% set ns = namespace() %}{% set ns.a = ns %}{{ [ns] | string }}{{ ns }}",
]
SYNTAX = [
    "{% for %}",
    "{{ a",
    "{% for a in b recursive %}{{ loop(a) }}{% endfor %}",
    "{{ a | nothing }}",
    "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "{% for a in b %}" * 60 + "{% endfor %}" * 60,
]


def ends_with_an_error(source):
    started = time.process_time()
    with pytest.raises(InvalidArgumentError, match=r"chat template|nests") as told:
        ChatTemplate(source, limits=TemplateLimits(steps=200_000, seconds=4)).render(HELLO)
    assert time.process_time() - started < 20
    return str(told.value)


@pytest.mark.parametrize("kind", LOOPS)
def test_loops_end(kind):
    ends_with_an_error(LOOPS[kind])


@pytest.mark.parametrize("kind", GROWTH)
def test_growth_ends_before_memory_does(kind):
    resource = pytest.importorskip("resource")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ends_with_an_error(GROWTH[kind])
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400 << 10  # KiB


@pytest.mark.parametrize("source", REACHING)
def test_only_plain_data_is_reached(source):
    try:
        text = ChatTemplate(source).render(HELLO)
    except InvalidArgumentError:
        return
    assert "object at" not in text
    assert "class" not in text
    assert "function" not in text


def test_reaching_is_named():
    assert "unsafe" in ends_with_an_error("{{ ''.__class__.__mro__ }}")


@pytest.mark.parametrize("source", SYNTAX, ids=range(len(SYNTAX)))
def test_what_is_no_template_is_refused_when_made(source):
    with pytest.raises(InvalidArgumentError, match="chat template"):
        ChatTemplate(source)


def test_a_template_is_usable_after_an_error():
    made = ChatTemplate(
        "{% if messages | length > 1 %}{{ raise_exception('two') }}{% endif %}{{ messages[0].content }}"
    )
    with pytest.raises(InvalidArgumentError, match="refuses the messages: two"):
        made.render(HELLO * 2)
    assert made.render(HELLO) == "hello"


def test_long_messages_are_within_the_limits():
    text = "word " * 400_000
    source = "{% for m in messages %}{{ '<' ~ m.role ~ '>' + m.content | trim + '\\n' }}{% endfor %}"
    assert ChatTemplate(source).render([{"role": "user", "content": text}] * 10).count("word") == 4_000_000


def test_the_length_of_a_template_is_bounded():
    with pytest.raises(InvalidArgumentError, match="characters"):
        ChatTemplate("x" * (1 << 21))


@pytest.mark.parametrize(
    "expression",
    [
        "'a,b'.split(',') | join('-') == 'a-b'",
        "{'a': 1, 'b': 2} | dictsort | map('first') | join == 'ab'",
        "[3, 1, 2] | sort | first == 1 and [1, 2] | sum == 3 and 1.25 | round(1) == 1.2",
        "messages | selectattr('role', 'equalto', 'user') | list | length == 1",
        "messages | map(attribute='content') | list == ['hello']",
        "messages[0].get('name', 'x') == 'x' and 'role' in messages[0] and messages[0].items() | length == 2",
        "(messages | groupby('role'))[0].grouper == 'user'",
        "'a\\nb' | indent(2) == 'a\\n  b' and '<' | e == '&lt;' and 'x' | safe == 'x'",
        "'abc'[::-1] == 'cba' and 'abc'[-1] == 'c' and (1, 2)[1] == 2 and 7 // 2 * 2 % 4 == 2",
        "'Hi'.startswith('H') and 'x' * 3 == 'xxx' and 2 ** 10 == 1024 and 'a' ~ 1 ~ none == 'a1None'",
        "[1, none] | tojson(indent=1) == '[\\n 1,\\n null\\n]' and 'ab' | replace('a', 'c') == 'cb'",
    ],
)
def test_what_templates_use_works(expression):
    assert ChatTemplate(f"{{{{ {expression} }}}}").render(HELLO) == "True"


def test_what_loops_use_works():
    source = (
        "{% for m in messages if m.role == 'user' %}{{ loop.index ~ '/' ~ loop.length ~ loop.cycle('a', 'b') }}"
        "{{ loop.previtem is defined }}{{ loop.last }}{{ loop.changed(m) }}{% else %}none{% endfor %}"
    )
    assert ChatTemplate(source).render(HELLO * 2) == "1/2aFalseFalseTrue2/2bTrueTrueFalse"
