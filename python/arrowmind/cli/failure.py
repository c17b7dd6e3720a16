"""From what goes wrong to a message and an exit code.

0 it worked, 1 it failed, 2 the command line was wrong, 130 interrupted, 141 the reader of our output left.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from arrowmind.cli.render import printable
from arrowmind.errors import OptimizationError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["BROKEN_PIPE", "FAILED", "INTERRUPTED", "USAGE", "complain", "guarded", "quiet_output"]

FAILED = 1
USAGE = 2
INTERRUPTED = 130
BROKEN_PIPE = 141


@contextmanager
def guarded(*, as_json: bool, debug: bool) -> Iterator[None]:
    """Runs a command: ArrowMind's errors and those of the system end it with one paragraph, no trace.

    Args:
        as_json: Print the error as a JSON document to stdout as well.
        debug: Print the trace, too.

    Raises:
        typer.Exit: with the exit code, when the command failed.
    """
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        quiet_output()
        raise typer.Exit(BROKEN_PIPE) from None
    except KeyboardInterrupt:
        complain("interrupted")
        raise typer.Exit(INTERRUPTED) from None
    except (OptimizationError, OSError, MemoryError) as error:
        if debug:
            traceback.print_exc()
        message = _message(error)
        complain(f"error: {message}")
        if as_json:
            print(json.dumps({"error": {"type": type(error).__name__, "message": message}}))
        raise typer.Exit(FAILED) from None


def complain(text: str) -> None:
    """One paragraph on stderr, safe for a terminal."""
    stderr = sys.stderr
    if stderr is not None:
        encoding = getattr(stderr, "encoding", None) or "utf-8"
        line = f"arrowmind: {printable(text)}\n"
        stderr.write(line.encode(encoding, "backslashreplace").decode(encoding))
        stderr.flush()


def quiet_output() -> None:
    """Points stdout to nowhere, so that the interpreter's last flush finds no closed pipe."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
    except (OSError, ValueError):  # stdout is not a file: there is nothing to silence
        return


def _message(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return "out of memory; try fewer or shorter texts, or close other programs"
    if isinstance(error, OSError) and error.strerror:
        place = f" ({error.filename})" if error.filename is not None else ""
        return f"{error.strerror}{place}"
    return str(error) or type(error).__name__
