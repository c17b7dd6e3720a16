"""The server as an ASGI application."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from arrowmind.observe import render_metrics
from arrowmind.server.completions import answer_text
from arrowmind.server.embeddings import Embedder
from arrowmind.server.events import ClientGoneError
from arrowmind.server.failures import RequestError, respond
from arrowmind.server.guarding import Counting, read_json
from arrowmind.server.memories import memory_endpoints
from arrowmind.server.queries import chat_query, completion_query

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from starlette.requests import Request

    from arrowmind.config import ServerSettings
    from arrowmind.faces import MemoryDesk
    from arrowmind.server.guarding import ApiKeys
    from arrowmind.server.shelf import ModelShelf

    Endpoint = Callable[[Request], Awaitable[Response]]

__all__ = ["create_app"]

_ROUTES = (
    *("/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/models", "/health", "/metrics"),
    *("/v1/memories", "/v1/memories/search", "/v1/memories/stats"),
)
_GONE = 499  # nobody reads it; the count of requests does


def create_app(
    shelf: ModelShelf, settings: ServerSettings, keys: ApiKeys, desk: MemoryDesk | None = None
) -> Starlette:
    """The application. It closes the engines when it is shut down.

    Args:
        shelf: The models.
        settings: Limits.
        keys: Who may ask.
        desk: A memory to serve, too.
    """
    memories = [] if desk is None else memory_endpoints(desk, settings)
    service = _Service(shelf, settings)

    def guarded(endpoint: Endpoint) -> Endpoint:
        async def call(request: Request) -> Response:
            try:
                request.state.principal = keys.check(request)
                return await endpoint(request)
            except ClientGoneError:
                return Response(status_code=_GONE)
            except Exception as error:
                return respond(error)

        return call

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(shelf.close)

    return Starlette(
        routes=[
            Route("/v1/chat/completions", guarded(service.chat), methods=["POST"]),
            Route("/v1/completions", guarded(service.complete), methods=["POST"]),
            Route("/v1/embeddings", guarded(service.embed), methods=["POST"]),
            Route("/v1/models", guarded(service.models), methods=["GET"]),
            Route("/v1/models/{name:path}", guarded(service.model), methods=["GET"]),
            Route("/metrics", guarded(_metrics), methods=["GET"]),
            Route("/health", service.health, methods=["GET"]),
            *(Route(path, guarded(one), methods=[method]) for method, path, one in memories),
        ],
        middleware=[Middleware(Counting, routes=_ROUTES)],
        exception_handlers={HTTPException: _not_found},
        lifespan=lifespan,
    )


class _Service:
    def __init__(self, shelf: ModelShelf, settings: ServerSettings) -> None:
        self._shelf, self._settings = shelf, settings
        self._embedder = Embedder(shelf, settings)

    async def chat(self, request: Request) -> Response:
        body = await read_json(request, self._settings.max_body_bytes)
        return await answer_text(request, chat_query(body, self._settings), self._shelf)

    async def complete(self, request: Request) -> Response:
        body = await read_json(request, self._settings.max_body_bytes)
        return await answer_text(request, completion_query(body, self._settings), self._shelf)

    async def embed(self, request: Request) -> Response:
        return await self._embedder.answer(await read_json(request, self._settings.max_body_bytes))

    async def models(self, _: Request) -> Response:
        return JSONResponse({"object": "list", "data": [self._described(name) for name, _ in self._shelf]})

    async def model(self, request: Request) -> Response:
        name = request.path_params["name"]
        self._shelf.named(name)
        return JSONResponse(self._described(name))

    async def health(self, _: Request) -> Response:
        """Ready: everyone is served. Degraded: some model takes no more now."""
        workers = [engine.worker_state() for _, engine in self._shelf.writers()]
        ready = all(state.accepts for state in workers)
        counts = {
            "running": sum(state.running for state in workers),
            "waiting": sum(state.waiting for state in workers),
        }
        return JSONResponse({"status": "ready" if ready else "degraded", **counts}, 200 if ready else 503)

    def _described(self, name: str) -> dict[str, Any]:
        return {"id": name, "object": "model", "created": self._shelf.since, "owned_by": "arrowmind"}


async def _metrics(_: Request) -> Response:
    text = await asyncio.to_thread(render_metrics)
    return PlainTextResponse(text, media_type="text/plain; version=0.0.4")


async def _not_found(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    message = f"{request.method} {request.url.path[:200]} is not served; see /v1/models, /v1/chat/completions"
    return respond(RequestError(status, message))
