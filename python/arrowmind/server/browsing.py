"""A read-only page to look through a memory, for the person at this machine.

Everything lies below a path that nobody can guess, so that other users of the machine and other pages of the
browser see nothing. Requests with a foreign Host are refused: a name elsewhere may be made to point to here.
"""

from __future__ import annotations

import base64
import hashlib
import re
from importlib import resources
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.responses import HTMLResponse, PlainTextResponse
from starlette.routing import Mount, Route

from arrowmind.server.failures import respond
from arrowmind.server.memories import Memories

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from arrowmind.config import ServerSettings
    from arrowmind.faces import MemoryDesk

    Endpoint = Callable[[Request], Awaitable[Response]]

__all__ = ["create_page"]

_HOST = re.compile(rb"(127\.0\.0\.1|localhost|\[::1\])(:[0-9]{1,5})?")


def create_page(desk: MemoryDesk, settings: ServerSettings, secret: str) -> ASGIApp:
    """The application.

    Args:
        desk: A memory; nothing here changes it.
        settings: Limits.
        secret: What the path begins with; letters, digits, `-` and `_`.
    """
    ours = Memories(desk, settings)
    page = resources.files("arrowmind.server").joinpath("browse.html").read_text(encoding="utf-8")

    async def index(_: Request) -> Response:
        return HTMLResponse(page)

    one = "/memories/{id:int}"
    routes = [
        Route("/", index),
        Route("/memories", _told(ours.newest)),
        Route("/search", _told(ours.search_by_query)),
        Route("/episodes", _told(ours.episodes_by_query)),
        Route("/stats", _told(ours.stats)),
        Route(one, _told(ours.get)),
        Route(f"{one}/attachments/{{number:int}}", _told(ours.attachment)),
    ]
    return _Guard(Starlette(routes=[Mount(f"/{secret}", routes=routes)]), _headers(page))


def _told(endpoint: Endpoint) -> Endpoint:
    async def call(request: Request) -> Response:
        try:
            return await endpoint(request)
        except Exception as error:
            return respond(error)

    return call


def _headers(page: str) -> list[tuple[bytes, bytes]]:
    """What the browser is to hold to: the script and the style of this very page, and this server, alone."""
    own = {tag: _digest(re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)) for tag in ("script", "style")}
    policy = (
        f"default-src 'none'; script-src {own['script']}; style-src {own['style']}; img-src 'self'; "
        "media-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    told = {
        "content-security-policy": policy,
        "cross-origin-resource-policy": "same-origin",
        "cross-origin-opener-policy": "same-origin",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
        "cache-control": "no-store",
    }
    return [(name.encode(), value.encode()) for name, value in told.items()]


def _digest(contents: list[str]) -> str:
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in contents]
    return " ".join(f"'sha256-{digest}'" for digest in digests)


class _Guard:
    """Refuses foreign hosts and origins, and all but GET; tells the browser what to hold to."""

    def __init__(self, app: ASGIApp, headers: list[tuple[bytes, bytes]]) -> None:
        self._app, self._headers = app, headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(h for h in self._headers if h[0] not in given)]
            await send(message)

        given = dict(scope["headers"])
        foreign = given.get(b"sec-fetch-site", b"none") not in (b"none", b"same-origin")
        if not _HOST.fullmatch(given.get(b"host", b"")) or foreign or scope["method"] not in ("GET", "HEAD"):
            refused = PlainTextResponse("open the address that arrowmind memory browse has printed", 403)
            await refused(scope, receive, guarded)
            return
        await self._app(scope, receive, guarded)
