"""Counts which blocks of Python functions an input reaches, by counters compiled into the functions.

A trace function would be called for each line, which takes ten times as long as the readers themselves. Here
modules are compiled again with a counter at the head of each block (a function's body, either side of a
condition, bodies of loops and handlers), and their functions get that code while they are watched.
"""

from __future__ import annotations

import ast
import gc
import inspect
from pathlib import Path
from types import CodeType, FunctionType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import ModuleType

__all__ = ["Coverage"]

_COUNTS = "_blocks_reached"
_BLOCKS = ("body", "orelse", "finalbody")


class _Counting(ast.NodeTransformer):
    """Puts ``_blocks_reached[number] += 1`` at the head of each block within a function."""

    def __init__(self, first: int) -> None:
        self.next = first
        self._depth = 0

    def visit(self, node: ast.AST) -> ast.AST:
        is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        self._depth += is_function
        self.generic_visit(node)
        # What stands outside functions ran when the module was imported; what a `with` holds runs anyway.
        if self._depth and not isinstance(node, ast.With | ast.AsyncWith | ast.ClassDef):
            for block in _BLOCKS:
                self._count(node, block)
        self._depth -= is_function
        return node

    def _count(self, node: ast.AST, block: str) -> None:
        statements = getattr(node, block, None)
        # A condition that does not hold is a block, too, where nothing stands for it. (Of a lambda or a
        # conditional expression the parts are no lists.)
        if not isinstance(statements, list) or (not statements and not isinstance(node, ast.If)):
            return
        (count,) = ast.parse(f"{_COUNTS}[{self.next}] += 1").body
        self.next += 1
        for part in ast.walk(count):
            if hasattr(part, "lineno"):
                ast.copy_location(part, node)
        statements.insert(0, count)


def _codes_in(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes_in(constant)


def _place(code: CodeType) -> tuple[str, int]:
    return code.co_name, code.co_firstlineno


class Coverage:
    """Counts in blocks of some modules' functions, while it is entered.

    Example::

        with Coverage(counters, [parquet_pages]) as coverage:
            coverage.of(read, data)
    """

    def __init__(self, counters: memoryview, modules: Sequence[ModuleType]) -> None:
        """Compiles the modules again.

        Args:
            counters: writable bytes: one that is always 1, so that an input that reaches nothing is one
                kind of input, too, and one for each block; blocks beyond them are not seen.
            modules: whose functions are watched.
        """
        self._counters = counters
        self._modules = modules
        self._counted: dict[str, dict[tuple[str, int], CodeType]] = {}
        blocks = 0
        for module in modules:
            path = inspect.getsourcefile(module)
            if path is None:
                raise ValueError(f"{module.__name__} has no source")
            counting = _Counting(blocks)
            tree = counting.visit(ast.parse(Path(path).read_bytes()))
            blocks = counting.next
            code = compile(tree, str(module.__file__), "exec", dont_inherit=True)
            self._counted[code.co_filename] = {_place(part): part for part in _codes_in(code)}
        self._counts = [0] * blocks
        self._nothing = [0] * blocks
        self._before: list[tuple[FunctionType, CodeType]] = []

    def __enter__(self) -> Coverage:
        for module in self._modules:
            vars(module)[_COUNTS] = self._counts
        for found in gc.get_objects():
            if issubclass(type(found), FunctionType):  # `isinstance` asks objects, and some warn when asked
                code = found.__code__
                counted = self._counted.get(code.co_filename, {}).get(_place(code))
                if counted is not None:
                    self._before.append((found, code))
                    found.__code__ = counted
        return self

    def __exit__(self, *failure: object) -> None:
        while self._before:
            function, code = self._before.pop()
            function.__code__ = code
        for module in self._modules:
            del vars(module)[_COUNTS]

    def of(self, read: Callable[[bytes], None], data: bytes) -> None:
        """Calls ``read`` and leaves in the counters how often each block ran, at most 255."""
        self._counts[:] = self._nothing
        try:
            read(data)
        finally:
            reached = bytes([1]) + bytes([count if count < 255 else 255 for count in self._counts])
            size = min(len(reached), len(self._counters))
            self._counters[:size] = reached[:size]
