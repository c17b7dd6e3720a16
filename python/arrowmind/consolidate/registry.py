"""What can be chosen by name is a module of a package: adding one is adding a file."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING

from arrowmind.errors import ConfigurationError

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["load", "names"]


def names(package: str) -> list[str]:
    """The modules of a package, in order; those that begin with an underscore are no choices."""
    path = importlib.import_module(package).__path__
    return sorted(module.name for module in pkgutil.iter_modules(path) if not module.name.startswith("_"))


def load(package: str, name: str, what: str) -> ModuleType:
    """The module of this name.

    Raises:
        ConfigurationError: there is none; the message lists those there are.
    """
    known = names(package)
    if name not in known:
        raise ConfigurationError(f"{what} {name!r} is unknown; use one of: {', '.join(known)}")
    return importlib.import_module(f"{package}.{name}")
