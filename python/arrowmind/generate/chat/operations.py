"""What a template may do: its filters, functions and methods. What is not listed here does not exist.

All of it works on plain data. Whatever could make a large value out of small ones is checked before it runs;
the result of everything is paid for.
"""

from __future__ import annotations

import functools
import html
import json
import re
from typing import TYPE_CHECKING, Any, NoReturn

import jinja2
from jinja2 import filters as builtin
from jinja2.utils import Namespace

from arrowmind.generate.chat.budget import current

if TYPE_CHECKING:
    import datetime
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["FILTERS", "METHODS", "TemplateRefusal", "check_replacement", "functions"]

# fmt: off
_AS_THEY_ARE = (
    "abs", "capitalize", "count", "d", "default", "dictsort", "first", "float", "groupby", "int", "items",
    "last", "length", "list", "lower", "map", "max", "min", "reject", "rejectattr", "reverse", "select",
    "selectattr", "sort", "title", "trim", "truncate", "unique", "upper", "wordcount",
)
METHODS: dict[type, frozenset[str]] = {
    str: frozenset((
        "capitalize", "count", "endswith", "find", "index", "isalnum", "isalpha", "isascii", "isdecimal",
        "isdigit", "islower", "isnumeric", "isspace", "istitle", "isupper", "join", "lower", "lstrip",
        "partition", "removeprefix", "removesuffix", "replace", "rfind", "rindex", "rpartition", "rsplit",
        "rstrip", "split", "splitlines", "startswith", "strip", "swapcase", "title", "upper",
    )),
    dict: frozenset(("get", "items", "keys", "values")),
    list: frozenset(("count", "index")),
    tuple: frozenset(("count", "index", "grouper", "list")),
}
# fmt: on


class TemplateRefusal(jinja2.TemplateError):
    """The template itself refuses the messages."""


def check_replacement(text: str, old: str, new: str) -> None:
    """Refuses a replacement whose result would not fit the budget."""
    current.get().check(len(text) + text.count(old) * len(new))


def functions(now: Callable[[], datetime.datetime]) -> dict[str, Any]:
    """Functions of all templates."""

    def strftime_now(form: str) -> str:
        if len(form) > 100 or re.search(r"%[^a-zA-Z%]*\d", form):
            raise jinja2.TemplateError(f"strftime_now cannot be called with {form!r:.80}")
        return now().strftime(form)

    return {
        "raise_exception": _raise_exception,
        "strftime_now": strftime_now,
        "range": _range,
        "dict": _dict,
        "namespace": Namespace,
    }


def each(values: Iterable[Any], characters: int) -> Iterator[Any]:
    """The passes of a loop whose body writes `characters` of its own."""
    budget = current.get()
    for value in values:
        budget.step()
        budget.charge(characters)
        yield value


def concatenated(values: list[Any]) -> str:
    """``a ~ b``."""
    for value in values:
        printable(value)
    return "".join(map(str, values))


def made(value: Any) -> Any:
    """A literal list, tuple or object."""
    return current.get().pay(value)


def printable(value: Any) -> Any:
    """What is written out: plain data."""
    if isinstance(value, (str, int, float, list, tuple, dict, jinja2.Undefined)) or value is None:
        return current.get().pay(value)
    raise jinja2.TemplateError(f"a {type(value).__name__} cannot be written out")


def _raise_exception(message: object = "") -> NoReturn:
    raise TemplateRefusal(str(message))


def _range(*bounds: int) -> range:
    values = range(*bounds)
    if len(values) > 100_000:
        raise jinja2.TemplateError(f"range of {len(values)} numbers; 100000 at most")
    return values


def _dict(*args: Any, **values: Any) -> dict[Any, Any]:
    return dict(*args, **values)


def _tojson(
    value: Any,
    ensure_ascii: bool = False,  # noqa: FBT001  templates may give all of these by position
    indent: int | None = None,
    separators: Any = None,
    sort_keys: bool = False,  # noqa: FBT001
) -> str:
    if indent is not None and not 0 <= indent <= 16:
        raise jinja2.TemplateError(f"tojson with indent={indent!r}; 0 to 16 is possible")
    printable(value)
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


def _join(values: Iterable[Any], d: str = "", attribute: str | int | None = None) -> str:
    items = [item[attribute] if attribute is not None else item for item in values]
    current.get().check(len(items) * len(d))
    printable(items)
    return d.join(map(str, items))


def _replace(text: str, old: str, new: str, count: int = -1) -> str:
    text, old, new = str(printable(text)), str(old), str(new)
    check_replacement(text, old, new)
    return text.replace(old, new, count)


def _indent(text: str, width: int | str = 4, first: Any = False, blank: Any = False) -> str:
    text = str(printable(text))
    current.get().check((text.count("\n") + 1) * (width if isinstance(width, int) else len(width)))
    return str(builtin.do_indent(text, width, bool(first), bool(blank)))


def _sum(values: Iterable[Any], attribute: str | None = None, start: float = 0) -> Any:
    return sum(((item[attribute] if attribute else item) for item in values), start + 0)


def _round(value: float, precision: int = 0, method: Any = "common") -> float:
    if not 0 <= precision <= 20:
        raise jinja2.TemplateError(f"round to {precision!r} digits; 0 to 20 are possible")
    return builtin.do_round(value, precision, method)


def _metered(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` as a step whose result is paid for."""

    @functools.wraps(function)  # keeps what jinja2 marks functions with
    def metered(*args: Any, **options: Any) -> Any:
        budget = current.get()
        budget.step()
        return budget.pay(function(*args, **options))

    return metered


FILTERS: dict[str, Callable[..., Any]] = {
    **{name: _metered(builtin.FILTERS[name]) for name in _AS_THEY_ARE},
    "e": _metered(lambda value: html.escape(str(printable(value)))),
    "escape": _metered(lambda value: html.escape(str(printable(value)))),
    "indent": _metered(_indent),
    "join": _metered(_join),
    "replace": _metered(_replace),
    "round": _metered(_round),
    "safe": _metered(lambda value: value),
    "string": _metered(lambda value: str(printable(value))),
    "sum": _metered(_sum),
    "tojson": _metered(_tojson),
    " each": each,  # no template can write a name with a space
    " concatenated": concatenated,
    " made": made,
}
