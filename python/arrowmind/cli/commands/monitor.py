"""Watch running servers: memory by component against the budget, speed, hits, disk, queues and fallbacks.

Without a server to name, the one of this machine on `server.port` is asked. The live panel needs
`pip install 'arrowmind[monitor]'`; q leaves it, space stops it for a while. A server that does not answer is
asked again and again.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from arrowmind.cli.render import print_table, write
from arrowmind.cli.session import Session
from arrowmind.config import API_KEY_VARIABLE
from arrowmind.errors import InvalidArgumentError
from arrowmind.monitor import target_of
from arrowmind.monitor.tables import rows_of

if TYPE_CHECKING:
    from arrowmind.monitor import Reading, Target

__all__ = ["run"]


def run(
    session: Session,
    servers: Annotated[
        list[str] | None,
        typer.Argument(metavar="[URL|PID]...", help="Addresses, ports or processes of servers."),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Print what is, and leave; --json does, too.")] = False,
    interval: Annotated[
        float, typer.Option("--interval", min=0.1, max=3600, help="Seconds between two looks.")
    ] = 1.0,
    api_key_env: Annotated[
        str, typer.Option("--api-key-env", help="Environment variable with an API key, if one is needed.")
    ] = API_KEY_VARIABLE,
) -> None:
    key = os.environ.get(api_key_env, "").partition(",")[0].strip()
    words = servers or [f"http://127.0.0.1:{session.config.server.port}"]
    targets = [target_of(word, key) for word in words]
    if once or session.as_json:
        _print_once(session, targets, interval)
        return
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise InvalidArgumentError("the live panel needs a terminal; use --once or --json")
    from arrowmind.monitor.panel import Panel  # noqa: PLC0415  an extra

    Panel(targets, interval).run()


def _print_once(session: Session, targets: list[Target], interval: float) -> None:
    """Two looks, so that there are rates."""
    for target in targets:
        target.read()
    time.sleep(interval)
    readings = [target.read() for target in targets]
    if all(reading.problem for reading in readings):
        raise InvalidArgumentError("; ".join(reading.problem for reading in readings))
    data = {"servers": [_described(reading) for reading in readings]}
    session.show(data, lambda: _print(readings))


def _described(reading: Reading) -> dict[str, object]:
    summary = {} if reading.summary is None else reading.summary.to_dict()
    return {"server": reading.target, "problem": reading.problem or None, **summary}


def _print(readings: list[Reading]) -> None:
    for reading in readings:
        write(reading.target if not reading.problem else f"{reading.target}: {reading.problem}")
        if reading.summary is not None:
            print_table(list(rows_of(reading.summary)))
