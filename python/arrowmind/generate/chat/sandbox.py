"""The environment that templates are compiled and run in.

Before they are compiled, filters that pay are put around loops, concatenations and literals. Operators, calls
and attributes go through the sandbox of jinja2, which asks here.
"""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.runtime import LoopContext, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

from arrowmind.generate.chat.budget import current
from arrowmind.generate.chat.operations import FILTERS, METHODS, check_replacement, functions, printable

if TYPE_CHECKING:
    import datetime
    from collections.abc import Callable

    from jinja2.parser import Parser
    from jinja2.runtime import Context

__all__ = ["Sandbox"]

# fmt: off
_LOOP = frozenset((
    "cycle", "changed", "depth", "depth0", "first", "index", "index0", "last", "length", "nextitem",
    "previtem", "revindex", "revindex0",
))
# fmt: on
_MOST_BITS = 4096


class _Generation(Extension):
    """``{% generation %}``, which marks what a model is trained on and changes no text."""

    tags = {"generation"}  # noqa: RUF012  as the base class has it

    def parse(self, parser: Parser) -> nodes.Node | list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class Sandbox(ImmutableSandboxedEnvironment):
    """An environment whose templates reach plain data only, and pay for what they do."""

    intercepted_binops = frozenset(("+", "-", "*", "/", "//", "%", "**"))

    def __init__(self, now: Callable[[], datetime.datetime]) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            optimized=False,  # nothing is computed while compiling, where nobody pays
            finalize=printable,
            extensions=[_Generation, loopcontrols],
        )
        self.filters = dict(FILTERS)
        self.globals = functions(now)
        self._functions = frozenset(map(id, self.globals.values()))

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        template = super()._parse(source, name, filename)
        _rewrite(template)
        return template

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:  # noqa: ARG002  the base class's
        """Public attributes of loops and namespaces, and the methods of plain data that are listed."""
        if attr.startswith("_"):
            return False
        if isinstance(obj, LoopContext):
            return attr in _LOOP
        if isinstance(obj, Namespace):
            return True
        return any(isinstance(obj, kind) and attr in names for kind, names in METHODS.items())

    def is_safe_callable(self, obj: Any) -> bool:
        """Macros, the functions of all templates, and the methods that are listed."""
        if isinstance(obj, Macro) or id(obj) in self._functions:
            return True
        owner = getattr(obj, "__self__", None)
        if isinstance(owner, LoopContext):
            return isinstance(obj, types.MethodType) and obj.__name__ in _LOOP
        if not isinstance(obj, types.BuiltinMethodType):
            return False
        return obj.__name__ in METHODS.get(type(owner), ())

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805  any keyword
        """One call, which is a step and whose result is paid for."""
        budget = current.get()
        budget.step()
        if isinstance(__obj, types.BuiltinMethodType) and isinstance(__obj.__self__, str):
            _check_method(__obj.__self__, __obj.__name__, args)
        budget.enter()
        try:
            return budget.pay(super().call(__context, __obj, *args, **kwargs))
        finally:
            budget.depth -= 1

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """One operation with two operands, likewise."""
        current.get().step()
        if operator in ("*", "**"):
            _check_product(operator, left, right)
        elif operator == "%" and isinstance(left, str):
            raise jinja2.TemplateError("text % values is not possible in a chat template; use ~")
        return current.get().pay(super().call_binop(context, operator, left, right))


def _check_method(text: str, name: str, args: tuple[Any, ...]) -> None:
    if name == "replace" and len(args) >= 2:
        check_replacement(text, str(args[0]), str(args[1]))
    elif name == "join" and args and isinstance(args[0], (list, tuple, dict, str)):
        current.get().check(len(args[0]) * len(text))


def _check_product(operator: str, left: Any, right: Any) -> None:
    if isinstance(left, int) and isinstance(right, int):
        bits = left.bit_length() * abs(right) if operator == "**" else left.bit_length() + right.bit_length()
        if bits > _MOST_BITS:
            raise jinja2.TemplateError(f"a number of {bits} bits; {_MOST_BITS} are possible")
    for values, count in ((left, right), (right, left)):
        if isinstance(values, (str, list, tuple)) and isinstance(count, int):
            current.get().check(current.get().measure(values, 1 << 40) * max(count, 0))


def _rewrite(node: nodes.Node) -> int:
    """Puts the paying filters into the tree; returns the characters that it writes by itself."""
    characters = len(node.data) if isinstance(node, nodes.TemplateData) else 0
    for field, value in list(node.iter_fields()):
        if isinstance(value, nodes.Node):
            characters += _rewrite(value)
            setattr(node, field, _paying(value))
        elif isinstance(value, list):
            characters += sum(_rewrite(item) for item in value if isinstance(item, nodes.Node))
            setattr(node, field, [_paying(item) if isinstance(item, nodes.Node) else item for item in value])
    if isinstance(node, nodes.For):
        if node.recursive:
            raise jinja2.TemplateSyntaxError("recursive loops are not possible; use a macro", node.lineno)
        node.iter = _filtered(node.iter, " each", nodes.Const(characters))
    return characters


def _paying(node: nodes.Node) -> nodes.Node:
    if isinstance(node, nodes.Concat):
        return _filtered(nodes.List(node.nodes), " concatenated")
    is_literal = isinstance(node, (nodes.List, nodes.Dict)) or (
        isinstance(node, nodes.Tuple) and node.ctx == "load"
    )
    return _filtered(node, " made") if is_literal else node


def _filtered(node: nodes.Node, name: str, *args: nodes.Expr) -> nodes.Filter:
    result = nodes.Filter(node, name, list(args), [], None, None)
    result.set_lineno(node.lineno or 1)
    return result
