"""Frozen dataclasses that share their methods.

`dataclasses` compiles six functions for each class, about half a millisecond; with forty classes that was a
tenth of the time from the start of a process to its first embedding. What is made here is a dataclass to all
functions of that module, and to type checkers.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from dataclasses import dataclass

__all__ = ["dataclass"]

_Class = TypeVar("_Class", bound=type)


def _init(self: Any, *args: Any, **kwargs: Any) -> None:
    names = self.__match_args__
    if len(args) == len(names) and not kwargs:  # thousands of tensors are described so
        vars(self).update(zip(names, args, strict=True))
        if hasattr(self, "__post_init__"):
            self.__post_init__()
        return
    fields = dataclasses.fields(self)
    values = {field.name: value for field, value in zip(fields, args, strict=False)}
    name = f"{type(self).__qualname__}.__init__()"
    if len(args) > len(fields):
        raise TypeError(f"{name} takes {len(fields)} values; {len(args)} were given")
    for field in fields[len(args) :]:
        if field.name in kwargs:
            values[field.name] = kwargs.pop(field.name)
        elif field.default is not dataclasses.MISSING:
            values[field.name] = field.default
        elif field.default_factory is not dataclasses.MISSING:
            values[field.name] = field.default_factory()
        else:
            raise TypeError(f"{name} lacks {field.name!r}")
    for other in kwargs:
        raise TypeError(f"{name} got {other!r} {'twice' if other in values else 'and has no such field'}")
    vars(self).update(values)
    if hasattr(self, "__post_init__"):
        self.__post_init__()


def _repr(self: Any) -> str:
    shown = (f"{one.name}={getattr(self, one.name)!r}" for one in dataclasses.fields(self) if one.repr)
    return f"{type(self).__qualname__}({', '.join(shown)})"


def _compared(self: Any) -> tuple[Any, ...]:
    return tuple(getattr(self, field.name) for field in dataclasses.fields(self) if field.compare)


def _eq(self: Any, other: object) -> bool:
    return _compared(self) == _compared(other) if type(self) is type(other) else NotImplemented


def _hash(self: Any) -> int:
    return hash(_compared(self))


def _setattr(_: Any, name: str, __: Any) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _delattr(_: Any, name: str) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")


_METHODS: dict[str, Callable[..., Any]] = {
    "__init__": _init,
    "__repr__": _repr,
    "__eq__": _eq,
    "__hash__": _hash,
    "__setattr__": _setattr,
    "__delattr__": _delattr,
}


def _dataclass(*, frozen: bool) -> Callable[[_Class], _Class]:
    """As `dataclasses.dataclass(frozen=True)`, of fields without `init=False`, `hash` or `kw_only`."""
    if not frozen:
        raise TypeError("classes that are not frozen take dataclasses.dataclass")

    def decorate(cls: _Class) -> _Class:
        own = vars(cls)
        named = {name: method for name, method in _METHODS.items() if own.get(name) is None}
        dataclasses.dataclass(init=False, repr=False, eq=False)(cls)
        for name, method in named.items():
            setattr(cls, name, method)
        parameters = cls.__dataclass_params__  # type: ignore[attr-defined]
        parameters.init = parameters.repr = parameters.eq = parameters.frozen = True
        return cls

    return decorate


if not TYPE_CHECKING:
    dataclass = _dataclass
