"""The command line. A command is one file in `commands/`; nothing needs to be registered.

::

    main       arguments -> exit code: finds the command, maps errors to exit codes
    app        builds the typer application; only the invoked command is imported
    options    the options every command has, and the call around each command
    session    what a command works with: settings, output, progress
    render     text for terminals and pipes
    diagnosis  what `arrowmind doctor` finds out
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code.

    Args:
        arguments: Words after the program's name; None takes those of the process.
    """
    try:
        from arrowmind.cli.main import run  # noqa: PLC0415  keeps `import arrowmind.cli` free of typer

        return run(arguments)
    except KeyboardInterrupt:  # while it was imported; a command has its own way to end
        return 130
