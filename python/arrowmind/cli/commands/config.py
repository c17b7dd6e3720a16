"""Show the settings and where each comes from."""

from __future__ import annotations

from typing import Any

import typer

from arrowmind.cli.failure import FAILED, complain
from arrowmind.cli.render import print_table, write
from arrowmind.cli.session import Session
from arrowmind.config import Config, keys

__all__ = ["commands", "lenient"]

lenient = True


def show(session: Session) -> None:
    """Print every setting with its value and its origin."""
    rows = [_row(session.config, key) for key in keys(Config)]
    data = {
        "file": session.config.file or None,
        "settings": rows,
        "problems": [str(problem) for problem in session.config.problems],
        "refused": str(session.refusal) if session.refusal is not None else None,
    }
    session.show(data, lambda: _print(session, rows))
    if session.refusal is not None:
        complain(f"error: {session.refusal}")
        raise typer.Exit(FAILED)


def _row(config: Config, key: str) -> dict[str, Any]:
    origin = config.origin(key)
    return {"key": key, "value": config.get(key), "origin": str(origin), "kind": origin.kind}


def _print(session: Session, rows: list[dict[str, Any]]) -> None:
    write(f"settings file: {session.config.file or 'none'}")
    print_table(((row["key"], _text(row["value"]), row["origin"]) for row in rows), ("key", "value", "from"))


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(value) or "(empty)"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if value != "" else "(empty)"


commands = {"show": show}
