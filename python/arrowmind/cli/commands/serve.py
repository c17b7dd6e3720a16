"""Serve models over HTTP, with the interface of OpenAI's.

Language models answer /v1/chat/completions and /v1/completions, encoders /v1/embeddings. A folder is served
under its name, or under another one with NAME=FOLDER. Ctrl-C lets running answers end; a second one does not.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from arrowmind.cli.budget import BudgetOptions
from arrowmind.cli.desks import open_desk
from arrowmind.cli.engines import open_engine
from arrowmind.cli.failure import complain
from arrowmind.cli.session import Session
from arrowmind.config import API_KEY_VARIABLE, overridden
from arrowmind.errors import ConfigurationError, InvalidArgumentError

__all__ = ["run"]

_LOCAL = ("127.0.0.1", "::1", "localhost")
_LARGEST_FILE = 1 << 16


def run(
    session: Session,
    models: Annotated[
        list[str],
        typer.Argument(metavar="MODEL...", help="Model folders, or NAME=FOLDER.", show_default=False),
    ],
    embedding_model: Annotated[
        list[str] | None, typer.Option("--embedding-model", help="Another model; may be repeated.")
    ] = None,
    host: Annotated[str | None, typer.Option("--host", help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option("--port", min=0, max=65535, help="Port; 0: a free one.")] = None,
    api_key_file: Annotated[
        Path | None,
        typer.Option("--api-key-file", help="File of mode 600 with KEY, or KEY PRINCIPAL, in each line."),
    ] = None,
    api_key_env: Annotated[
        str, typer.Option("--api-key-env", help="Environment variable with such lines, separated by commas.")
    ] = API_KEY_VARIABLE,
    max_queue: Annotated[
        int | None, typer.Option("--max-queue", min=0, help="Texts that may wait; more are refused.")
    ] = None,
    max_streams: Annotated[
        int | None, typer.Option("--max-streams", min=1, help="Texts that are generated together.")
    ] = None,
    store: Annotated[
        Path | None, typer.Option("--store", help="A memory to serve, too: its folder, made if need be.")
    ] = None,
    *,
    budget: BudgetOptions,
) -> None:
    from arrowmind.server import ApiKeys, ModelShelf, serve  # noqa: PLC0415  an extra
    from arrowmind.server.shelf import name_of  # noqa: PLC0415

    limits = {"generation.max_waiting": max_queue, "generation.max_streams": max_streams}
    given = {"server.host": host, "server.port": port, **limits}
    set_here = {key: value for key, value in given.items() if value is not None}
    session = dataclasses.replace(session, config=overridden(session.config, set_here))
    session = budget.applied(session)
    config = session.config
    keys = ApiKeys(_keys(api_key_file, api_key_env))
    if not keys and config.server.host not in _LOCAL:
        complain(f"warning: without an API key, everyone who reaches {config.server.host} may ask")
    if keys.principals and not config.privacy.roles:
        complain(
            "warning: API keys name principals, and without privacy.roles each of them may do everything"
        )
    folders: dict[str, Path] = {}
    for word in [*models, *(embedding_model or [])]:
        name, path = name_of(word)
        if name in folders:
            raise InvalidArgumentError(f"two models have the name {name!r}; write NAME=FOLDER for one")
        folders[name] = path
        budget.measure(session, path)
    shelf = ModelShelf(
        {name: open_engine(session, path, ram=budget.ram, vram=budget.vram) for name, path in folders.items()}
    )
    for _, engine in shelf.writers():
        _ = engine.generator  # what is wrong with it is told now
    engines = [engine for _, engine in shelf]
    with open_desk(session, store, engines) as desk:
        ready = functools.partial(_tell, session, names=list(folders))
        serve(shelf, config.server, keys, ready=ready, desk=desk)


def _keys(file: Path | None, variable: str) -> list[str]:
    if file is None:
        return os.environ.get(variable, "").split(",")
    try:
        if file.stat().st_mode & 0o077:
            raise ConfigurationError(f"{file} can be read by others; run: chmod 600 {file}")
        with file.open("rb") as stream:
            lines = stream.read(_LARGEST_FILE).decode("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file} cannot be read ({error}); name a file of API keys") from error
    if not any(line.strip() for line in lines):
        raise ConfigurationError(f"{file} holds no API key; write one into each line")
    return lines


def _tell(session: Session, address: str, names: list[str]) -> None:
    session.show({"address": address, "models": names}, lambda: None)
    sys.stdout.flush()
    if not session.as_json:
        print(f"serving {', '.join(names)} at {address}/v1", file=sys.stderr, flush=True)
