"""Options that belong together, as a dataclass: a command takes it as one parameter, typer sees its fields.

::

    @dataclass(frozen=True)
    class CheckOptions(OptionGroup):
        title = "Check"
        texts: Annotated[Path | None, typer.Option("--check-texts")] = None

    def run(session: Session, check: CheckOptions) -> None: ...
"""

from __future__ import annotations

import inspect
from dataclasses import MISSING, Field, dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, TypeGuard, get_type_hints

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["OptionGroup", "expand", "gather"]


@dataclass(frozen=True)
class OptionGroup:
    """A dataclass whose fields are options.

    Attributes:
        title: of the group, in the help.
    """

    title: ClassVar[str]


def expand(parameters: Iterable[inspect.Parameter]) -> list[inspect.Parameter]:
    """The parameters, those that are groups replaced by their fields; all by keyword."""
    found: list[inspect.Parameter] = []
    for parameter in parameters:
        kind = parameter.annotation
        if _is_group(kind):
            hints = get_type_hints(kind, include_extras=True)
            found += [_option(item, hints[item.name], kind.title) for item in fields(kind)]
        else:
            found.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
    return found


def gather(parameters: Iterable[inspect.Parameter], values: dict[str, Any]) -> dict[str, Any]:
    """What a command takes, from the values of what :func:`expand` gave."""
    found = {}
    for parameter in parameters:
        kind, name = parameter.annotation, parameter.name
        if _is_group(kind):
            found[name] = kind(**{item.name: values[item.name] for item in fields(kind)})
        else:
            found[name] = values[name]
    return found


def _is_group(kind: Any) -> TypeGuard[type[OptionGroup]]:
    return isinstance(kind, type) and issubclass(kind, OptionGroup)


def _option(item: Field[Any], hint: Any, title: str) -> inspect.Parameter:
    for extra in hint.__metadata__:
        extra.rich_help_panel = title
    default = inspect.Parameter.empty if item.default is MISSING else item.default
    return inspect.Parameter(item.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hint)
