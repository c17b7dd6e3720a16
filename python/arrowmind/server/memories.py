"""The operations of a memory over HTTP: /v1/memories and below."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.responses import JSONResponse, Response

from arrowmind.errors import OverloadError
from arrowmind.faces.fields import query_fields
from arrowmind.generate import checks
from arrowmind.server.guarding import read_json

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from arrowmind.config import ServerSettings
    from arrowmind.faces import MemoryDesk

    Endpoint = Callable[[Request], Awaitable[Response]]

__all__ = ["Memories", "memory_endpoints"]

Result = TypeVar("Result")
# What a browser is told of bytes that somebody remembered: they are what their type says, and do nothing.
_INERT = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox; default-src 'none'"}


def memory_endpoints(desk: MemoryDesk, settings: ServerSettings) -> list[tuple[str, str, Endpoint]]:
    """Method, path and endpoint of each operation."""
    ours = Memories(desk, settings)
    one = "/v1/memories/{id:int}"
    return [
        ("POST", "/v1/memories", ours.remember),
        ("GET", "/v1/memories", ours.newest),
        ("POST", "/v1/memories/search", ours.search),
        ("POST", "/v1/memories/episodes", ours.episodes),
        ("GET", "/v1/memories/stats", ours.stats),
        ("GET", one, ours.get),
        ("DELETE", one, ours.forget),
        ("GET", f"{one}/attachments/{{number:int}}", ours.attachment),
    ]


class Memories:
    """Endpoints over a memory, which does one thing after the other: an encoder uses all threads."""

    def __init__(self, desk: MemoryDesk, settings: ServerSettings) -> None:
        self._desk, self._settings = desk, settings
        self._desks: dict[str, MemoryDesk] = {}
        self._turn = asyncio.Lock()
        self._present = 0

    def _desk_of(self, request: Request) -> MemoryDesk:
        """That of who asks; without a name, of this process."""
        principal: str | None = getattr(request.state, "principal", None)
        if principal is None:
            return self._desk
        if principal not in self._desks:
            self._desks[principal] = self._desk.acting_as(principal)
        return self._desks[principal]

    async def remember(self, request: Request) -> Response:
        """Stores what the body says."""
        body = await read_json(request, self._settings.max_body_bytes)
        desk = self._desk_of(request)
        return JSONResponse(await self._in_turn(lambda: desk.call("remember", body)), 201)

    async def search(self, request: Request) -> Response:
        """Recalls by what the body says; `explain` tells the parts of scores."""
        return await self._recalled(request, "recall")

    async def episodes(self, request: Request) -> Response:
        """The same of episodes."""
        return await self._recalled(request, "recall_episodes")

    async def search_by_query(self, request: Request) -> Response:
        """Recalls by what the query of the address says, with the parts of scores."""
        values = query_fields(request.query_params)
        return await self._done(request, "recall", values, explain=True)

    async def episodes_by_query(self, request: Request) -> Response:
        """The same of episodes."""
        values = query_fields(request.query_params)
        return await self._done(request, "recall_episodes", values, explain=True)

    async def _recalled(self, request: Request, name: str) -> Response:
        body = await read_json(request, self._settings.max_body_bytes)
        explain = checks.flag("explain", body.pop("explain", False))
        return await self._done(request, name, body, explain=explain)

    async def newest(self, request: Request) -> Response:
        """Lists by what the query says."""
        return await self._done(request, "newest", query_fields(request.query_params))

    async def stats(self, request: Request) -> Response:
        """Counts."""
        return await self._done(request, "stats", {})

    async def get(self, request: Request) -> Response:
        """One memory."""
        return await self._done(request, "get", {"id": request.path_params["id"]})

    async def forget(self, request: Request) -> Response:
        """Forgets one memory; it need not be there."""
        return await self._done(request, "forget", {"ids": [request.path_params["id"]]})

    async def attachment(self, request: Request) -> Response:
        """The bytes of an image or a sound."""
        id_, number = request.path_params["id"], request.path_params["number"]
        desk = self._desk_of(request)
        found, data = await self._in_turn(lambda: desk.attachment(id_, number))
        return Response(data, media_type=found.media_type, headers=_INERT)

    async def _done(
        self, request: Request, name: str, values: dict[str, Any], *, explain: bool = False
    ) -> Response:
        desk = self._desk_of(request)
        return JSONResponse(await self._in_turn(lambda: desk.call(name, values, explain=explain)))

    async def _in_turn(self, work: Callable[[], Result]) -> Result:
        """What `work` gives, off the event loop.

        Raises:
            OverloadError: too many wait already.
        """
        most = self._settings.max_memory_requests
        if self._present >= most:
            raise OverloadError(f"{most} requests to the memory wait already; try again in a second")
        self._present += 1
        try:
            async with self._turn:
                return await asyncio.to_thread(work)
        finally:
            self._present -= 1
