"""The options that every command has, and the call around each command.

A command is written as `run(session, its own parameters)`. Typer sees the same function without `session` and
with the common options; the call makes the session from them and turns what goes wrong into an exit code.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arrowmind.cli.failure import guarded
from arrowmind.cli.groups import expand, gather
from arrowmind.cli.session import Session, open_session

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FLAGS", "VALUE_OPTIONS", "with_common_options"]

# The common options in all their spellings: they may also stand before the command.
FLAGS = ("--json", "--strict", "--quiet", "-q", "--verbose", "-v", "-vv", "--debug")
VALUE_OPTIONS = ("--config", "--set")

_PANEL = "For every command"


def _common(
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.", rich_help_panel=_PANEL)],
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse settings with mistakes.", rich_help_panel=_PANEL)
    ],
    config: Annotated[
        str, typer.Option("--config", metavar="FILE", help="Settings file.", rich_help_panel=_PANEL)
    ],
    set: Annotated[  # noqa: A002  the option's name
        list[str],
        typer.Option("--set", metavar="KEY=VALUE", help="Set one key.", rich_help_panel=_PANEL),
    ],
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Results and errors only.", rich_help_panel=_PANEL)
    ],
    verbose: Annotated[
        int, typer.Option("--verbose", "-v", count=True, help="Log more.", rich_help_panel=_PANEL)
    ],
    debug: Annotated[  # noqa: ARG001  read by the call around the command
        bool, typer.Option("--debug", help="Show the trace of an error.", rich_help_panel=_PANEL)
    ],
) -> Session:
    """Makes the session; its signature is that of the common options."""
    level = "error" if quiet else {0: "", 1: "info"}.get(verbose, "debug")
    overrides = dict(_assignment(text) for text in set)
    if level:
        overrides["log.level"] = level
    return open_session(as_json=json, strict=strict, config=config, overrides=overrides, quiet=quiet)


_DEFAULTS: dict[str, Any] = {
    "json": False,
    "strict": False,
    "config": "",
    "set": [],
    "quiet": False,
    "verbose": 0,
    "debug": False,
}


def _assignment(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise typer.BadParameter(f"{text!r} is not KEY=VALUE", param_hint="--set")
    return key.strip(), value


def with_common_options(function: Callable[..., None], *, lenient: bool = False) -> Callable[..., None]:
    """The function as typer is to see it.

    Args:
        function: A command; its first parameter is the session.
        lenient: Call it even when the configuration is refused; it finds the reason in the session.
    """
    own = _parameters(function)[1:]
    common = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, default=_DEFAULTS[parameter.name])
        for parameter in _parameters(_common)
    ]

    def call(**values: Any) -> None:
        options = {parameter.name: values.pop(parameter.name) for parameter in common}
        with guarded(as_json=options["json"], debug=options["debug"]):
            session = _common(**options)
            if session.refusal is not None and not lenient:
                raise session.refusal
            function(session, **gather(own, values))

    seen = [*expand(own), *common]
    setattr(call, "__signature__", inspect.Signature(seen))  # noqa: B010
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in seen}
    call.__doc__ = function.__doc__
    return call


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """Parameters, annotations evaluated. In Python 3.10 get_type_hints would wrap them in Optional."""
    return list(inspect.signature(function, eval_str=True).parameters.values())
