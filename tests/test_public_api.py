"""The public names: those of each package's `__all__`, importable, described, typed, and cheap to import."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import subprocess
import sys
import types
from pathlib import Path

import pytest

import arrowmind

PACKAGES = [
    "arrowmind",
    *sorted(
        f"arrowmind.{module.name}" for module in pkgutil.iter_modules(arrowmind.__path__) if module.ispkg
    ),
    "arrowmind.errors",
]
# Added to on purpose, and taken from with a major version only.
TOP = {"ArrowEngine", "ArrowQuantizer", "MemoryStore", "QuantizationConfig", "__version__"}
PUBLIC = [
    pytest.param(package, name, marks=[pytest.mark.torch] if package == "arrowmind.torch" else [])
    for package in PACKAGES
    for name in getattr(importlib.import_module(package), "__all__", ())
]


def public(package, name):
    if package == "arrowmind.torch":
        pytest.importorskip("torch")
    return getattr(importlib.import_module(package), name)


def own_members(kind):
    """Public functions and properties that a class itself defines."""
    for name, member in vars(kind).items():
        if name.startswith("_") and name != "__init__":
            continue
        inner = getattr(member, "__func__", None) or getattr(member, "fget", None) or member
        if isinstance(inner, types.FunctionType) and inner.__module__.startswith("arrowmind"):
            yield name, inner


def callables(value, name):
    """The functions a public name brings, each with a dotted name."""
    if inspect.isclass(value):
        return [(f"{name}.{member}", function) for member, function in own_members(value)]
    return [(name, value)] if inspect.isfunction(value) else []


def test_the_names_of_the_package():
    assert set(arrowmind.__all__) == TOP
    assert set(dir(arrowmind)) >= TOP
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = arrowmind.Nothing


@pytest.mark.parametrize("package", PACKAGES)
def test_all_is_sorted_without_repetition(package):
    names = [*getattr(importlib.import_module(package), "__all__", ())]
    assert len(set(names)) == len(names)
    assert importlib.import_module(package).__doc__


@pytest.mark.parametrize(("package", "name"), PUBLIC)
def test_a_public_name_is_there_and_described(package, name):
    value = public(package, name)
    if inspect.isclass(value) or inspect.isfunction(value) or inspect.ismodule(value):
        assert inspect.getdoc(value), f"{package}.{name} has no docstring"
    if inspect.isclass(value):
        assert not (value.__doc__ or "").startswith(f"{name}("), f"{name}: only the dataclass's own signature"
    for full_name, _ in callables(value, name):
        member = getattr(value, full_name.partition(".")[2], value)  # a class may inherit the docstring
        if not full_name.endswith("__init__"):
            assert inspect.getdoc(member), f"{package}: {full_name} has no docstring"


@pytest.mark.parametrize(("package", "name"), PUBLIC)
def test_a_public_function_is_typed_in_full(package, name):
    for full_name, function in callables(public(package, name), name):
        signature = inspect.signature(function)
        parameters = [one for one in signature.parameters.values() if one.name not in ("self", "cls")]
        bare = [one.name for one in parameters if one.annotation is one.empty]
        assert bare == [], f"{package}: {full_name}"
        assert signature.return_annotation is not signature.empty, f"{package}: {full_name} returns what?"


def test_errors_form_one_tree():
    errors = importlib.import_module("arrowmind.errors")
    for name in errors.__all__:
        assert issubclass(getattr(errors, name), errors.OptimizationError)


def test_the_package_is_typed_for_its_users():
    assert (Path(arrowmind.__file__).parent / "py.typed").is_file()


@pytest.mark.parametrize("package", PACKAGES)
def test_importing_costs_no_heavy_library(package):
    heavy = ("torch", "pyarrow", "pandas", "transformers", "pydantic", "safetensors")
    code = f"import sys, {package}; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_importing_the_package_loads_not_even_numpy():
    code = "import sys, arrowmind; print([n for n in ('numpy', 'tokenizers', 'typer') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
