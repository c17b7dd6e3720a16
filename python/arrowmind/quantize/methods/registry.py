"""Finds methods: every module of this folder that has `NAME` and `run`."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING, cast

import arrowmind.quantize.methods
from arrowmind.errors import InvalidArgumentError

if TYPE_CHECKING:
    from arrowmind.quantize.methods.base import Method

__all__ = ["method", "methods"]

_OTHERS = ("base", "registry")


def methods() -> tuple[str, ...]:
    """Names of the methods."""
    found = (info.name for info in pkgutil.iter_modules(arrowmind.quantize.methods.__path__))
    return tuple(sorted(name for name in found if name not in _OTHERS))


def method(name: str) -> Method:
    """The method called ``name``.

    Raises:
        InvalidArgumentError: there is none.
    """
    if name not in methods():
        raise InvalidArgumentError(f"calibration {name!r} is not served; use {' or '.join(methods())}")
    return cast("Method", importlib.import_module(f"arrowmind.quantize.methods.{name}"))
