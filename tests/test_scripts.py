"""Scripts that no other test runs: what they import of the package is there."""

from __future__ import annotations

import ast
import importlib

import pytest

from arrowmind.errors import ConfigurationError
from tests.conftest import ROOT

SCRIPTS = [path for folder in ("benchmarks", "examples", "scripts") for path in (ROOT / folder).rglob("*.py")]


def imported(name):
    """A module of the package; the test is skipped where another package that it needs is not installed."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] == "arrowmind":
            raise
        pytest.skip(f"{error.name} is not installed")


def offers(module, name):
    """Whether a module has a name; skips the test where the name waits for a package not installed."""
    try:
        return hasattr(module, name)
    except ConfigurationError as error:
        if not isinstance(error.__cause__, ModuleNotFoundError):
            raise
        pytest.skip(str(error))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports(script):
    for node in ast.walk(ast.parse(script.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "arrowmind":
            module = imported(node.module)
            for name in node.names:
                assert offers(module, name.name) or imported(f"{node.module}.{name.name}")


def test_there_are_some():
    assert len(SCRIPTS) > 10
