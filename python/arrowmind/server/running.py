"""Listens until it is told to stop; then running answers have some time to end."""

from __future__ import annotations

import contextlib
import dataclasses
import secrets
import signal
import socket
import threading
from typing import TYPE_CHECKING

import uvicorn

from arrowmind.errors import ConfigurationError
from arrowmind.server.app import create_app
from arrowmind.server.browsing import create_page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.types import ASGIApp

    from arrowmind.config import ServerSettings
    from arrowmind.faces import MemoryDesk
    from arrowmind.server.guarding import ApiKeys
    from arrowmind.server.shelf import ModelShelf

__all__ = ["browse", "listen", "run", "serve"]

_HERE = "127.0.0.1"
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def serve(
    shelf: ModelShelf,
    settings: ServerSettings,
    keys: ApiKeys,
    *,
    ready: Callable[[str], None] = lambda _: None,
    desk: MemoryDesk | None = None,
) -> None:
    """Serves until SIGINT or SIGTERM; a second SIGINT does not wait for running answers.

    Args:
        shelf: The models; closed at the end.
        settings: Where to listen, and limits.
        keys: Who may ask.
        ready: Called with the address once it is listened to.
        desk: A memory to serve, too.

    Raises:
        ConfigurationError: The address cannot be had.
    """
    try:
        run(create_app(shelf, settings, keys, desk), settings, listen(settings.host, settings.port), ready)
    finally:
        shelf.close()


def browse(desk: MemoryDesk, settings: ServerSettings, port: int, ready: Callable[[str], None]) -> None:
    """Serves the page of a memory on 127.0.0.1 until SIGINT or SIGTERM.

    Args:
        desk: The memory, read-only.
        settings: Limits.
        port: Port to listen on; 0 takes a free one.
        ready: Called with the address of the page, which holds its secret.

    Raises:
        ConfigurationError: The port cannot be had.
    """
    secret = secrets.token_urlsafe(24)
    settings = dataclasses.replace(settings, host=_HERE, port=port)
    page = create_page(desk, settings, secret)
    run(page, settings, listen(_HERE, port), lambda address: ready(f"{address}/{secret}/"))


def run(
    app: ASGIApp, settings: ServerSettings, listening: socket.socket, ready: Callable[[str], None]
) -> None:
    """Serves an application on a socket until SIGINT or SIGTERM; closes the socket.

    Args:
        app: What answers.
        settings: Its host, and how long running answers have at the end.
        listening: From `listen`.
        ready: Called with the address once it is listened to.
    """
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="on",
        server_header=False,
        timeout_graceful_shutdown=round(settings.grace_seconds),
    )
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"http://{host}:{listening.getsockname()[1]}"
    server = _Server(config, lambda: ready(address))
    try:
        server.run(sockets=[listening])
    finally:
        listening.close()


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there.

    Raises:
        ConfigurationError: The address cannot be had.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=1024)
    except (OSError, UnicodeError) as error:
        raise ConfigurationError(
            f"cannot listen on {host}:{port} ({error}); choose another --host or --port"
        ) from error


class _Server(uvicorn.Server):
    """Tells when it listens to requests and signals; ends well on one, instead of raising it once more."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts, and tells so."""
        await super().startup(sockets)
        if self.started:
            self._ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals ask for the end while the block runs."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
