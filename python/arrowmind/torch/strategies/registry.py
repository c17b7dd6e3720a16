"""Finds strategies, and falls back to eager mode where one cannot be had."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol, cast

import arrowmind.torch.strategies
from arrowmind.errors import InvalidArgumentError
from arrowmind.observe import record_fallback

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Strategy", "available", "choose", "prepare"]

_OTHERS = ("registry", "copying")
_FALLBACK = "eager"


class _Module(Protocol):
    NAME: str
    RANK: int | None

    def missing(self) -> str: ...
    def prepare(self, model: Any) -> Any: ...


@dataclass(frozen=True)
class Strategy:
    """A way to run a model that can be had here.

    Attributes:
        name: of the strategy.
    """

    name: str

    def prepare(self, model: Any) -> Any:
        """A model for inference that gives what `model` gives; `model` itself stays as it is.

        Where the strategy fails on this model, the model runs in eager mode, and that is logged.

        Args:
            model: a ``torch.nn.Module`` on the CPU.
        """
        try:
            return _known()[self.name].prepare(model)
        except Exception as error:
            if self.name == _FALLBACK:
                raise
            record_fallback("torch strategy", f"{self.name} failed on the model", error=str(error))
            return _known()[_FALLBACK].prepare(model)


def available() -> dict[str, str]:
    """Every strategy by name, and why it cannot be used here; the reason is empty where it can."""
    return {name: module.missing() for name, module in sorted(_known().items())}


def choose(name: str = "auto") -> Strategy:
    """A strategy that can be had.

    Args:
        name: of one; where it cannot be had, a warning is logged and eager mode taken. ``auto`` takes the
            best of those that keep float32 results and need no warm-up.

    Raises:
        InvalidArgumentError: there is no strategy of this name.
    """
    if name == "auto":
        ranked = sorted((m.RANK, m.NAME) for m in _known().values() if m.RANK is not None and not m.missing())
        return Strategy(ranked[0][1])
    if name not in _known():
        raise InvalidArgumentError(f"strategy {name!r} is unknown; use auto, {', '.join(sorted(_known()))}")
    reason = _known()[name].missing()
    if not reason:
        return Strategy(name)
    record_fallback("torch strategy", f"{name} is not to be had", why=reason)
    return Strategy(_FALLBACK)


def prepare(model: Any, strategy: str = "auto") -> Any:
    """``choose(strategy).prepare(model)``."""
    return choose(strategy).prepare(model)


@cache
def _known() -> Mapping[str, _Module]:
    package = arrowmind.torch.strategies
    names = [info.name for info in pkgutil.iter_modules(package.__path__) if info.name not in _OTHERS]
    modules = [cast("_Module", importlib.import_module(f"{package.__name__}.{name}")) for name in names]
    return {module.NAME: module for module in modules}
