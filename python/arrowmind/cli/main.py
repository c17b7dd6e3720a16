"""From the words of the command line to an exit code."""

from __future__ import annotations

import difflib
import sys
from typing import TYPE_CHECKING

import typer

from arrowmind.cli.app import arrange, build_app, command_names, find_forward
from arrowmind.cli.failure import BROKEN_PIPE, FAILED, INTERRUPTED, USAGE, complain, guarded, quiet_output

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["run"]


def run(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code.

    Args:
        arguments: Words after the program's name; None takes those of the process.
    """
    try:
        return _run(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        quiet_output()
        return BROKEN_PIPE


def _run(arguments: Sequence[str]) -> int:
    command, words = arrange(arguments)
    if command is not None and command not in command_names():
        complain(_no_such(command))
        return USAGE
    forward = find_forward(command) if command is not None else None
    try:
        if forward is not None:
            with guarded(as_json=False, debug="--debug" in words):
                return forward(words[1:])
        build_app(command)(words, prog_name="arrowmind")
    except typer.Exit as end:
        return end.exit_code
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else FAILED if end.code else 0
    return 0


def _no_such(command: str) -> str:
    near = difflib.get_close_matches(command, command_names(), n=1, cutoff=0.5)
    hint = f"did you mean '{near[0]}'? " if near else ""
    return f"there is no command '{command}'; {hint}`arrowmind --help` lists the commands"
