"""Builds the typer application of one call.

Only the invoked command is imported; the list of commands in `--help` is read off the files, not the modules.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import os
import pkgutil
from typing import TYPE_CHECKING, Annotated, Any

import typer

import arrowmind
from arrowmind.cli import commands
from arrowmind.cli.options import FLAGS, VALUE_OPTIONS, with_common_options

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["arrange", "build_app", "command_names", "find_forward"]


def command_names() -> list[str]:
    """Every command, by the files of `commands/`."""
    return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(commands.__path__))


def arrange(words: Sequence[str]) -> tuple[str | None, list[str]]:
    """The invoked command, and the words with the common options that stand before it moved behind it.

    Returns:
        None for the command when the first word is another option, or there is none.
    """
    count = 0
    while count < len(words) and _is_common(words[count]):
        count += 2 if words[count] in VALUE_OPTIONS else 1
    leading, rest = list(words[:count]), list(words[count:])
    if not rest or rest[0].startswith("-"):
        return None, [*rest, *leading]
    behind = 2 if _is_group(rest[0]) and len(rest) > 1 and not rest[1].startswith("-") else 1
    return rest[0], [*rest[:behind], *leading, *rest[behind:]]


def _is_common(word: str) -> bool:
    return (
        word in FLAGS or word in VALUE_OPTIONS or word.startswith(tuple(f"{name}=" for name in VALUE_OPTIONS))
    )


def build_app(command: str | None) -> typer.Typer:
    """The application with this command, or with the names and help lines of all of them.

    Args:
        command: One of `command_names()`, or None.
    """
    app = typer.Typer(
        name="arrowmind",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(help=arrowmind.__doc__)(_root)
    if command is not None:
        _register(app, command, _module(command))
    elif "_ARROWMIND_COMPLETE" in os.environ:  # the shell asks for completions: it needs every option
        for name in command_names():
            _register(app, name, _module(name))
    else:
        for name in command_names():
            app.command(name, help=_first_line(name))(_stand_in)
    return app


def find_forward(command: str) -> Callable[[Sequence[str]], int] | None:
    """The function of a command that parses its own words; None if this command is not of that kind."""
    return getattr(_module(command), "forward", None)


def _register(app: typer.Typer, name: str, module: Any) -> None:
    lenient = getattr(module, "lenient", False)
    if hasattr(module, "forward"):
        app.command(name, help=module.__doc__)(_stand_in)
        return
    if not hasattr(module, "commands"):
        app.command(name, help=module.__doc__)(with_common_options(module.run, lenient=lenient))
        return
    group = typer.Typer(no_args_is_help=True)
    group.callback()(_nothing)
    for subcommand, function in module.commands.items():
        group.command(subcommand)(with_common_options(function, lenient=lenient))
    app.add_typer(group, name=name, help=module.__doc__)


def _module(command: str) -> Any:
    return importlib.import_module(f"{commands.__name__}.{command.replace('-', '_')}")


def _is_group(command: str) -> bool:
    return command in command_names() and hasattr(_module(command), "commands")


def _first_line(command: str) -> str:
    name = f"{commands.__name__}.{command.replace('-', '_')}"
    spec = importlib.util.find_spec(name)
    get_source: Callable[[str], str | None] | None = getattr(spec and spec.loader, "get_source", None)
    source = get_source(name) if get_source is not None else None
    docstring = ast.get_docstring(ast.parse(source or "")) or ""
    return docstring.partition("\n")[0]


def _print_version(*, value: bool) -> None:
    if value:
        print(f"arrowmind {arrowmind.__version__}")
        raise typer.Exit


def _version_callback(value: bool) -> None:  # noqa: FBT001  typer calls it so
    _print_version(value=value)


def _root(
    version: Annotated[  # noqa: ARG001  the callback has done it
        bool, typer.Option("--version", help="Print the version.", callback=_version_callback, is_eager=True)
    ] = False,
) -> None:
    return None


def _nothing() -> None:
    return None


def _stand_in() -> None:
    return None
