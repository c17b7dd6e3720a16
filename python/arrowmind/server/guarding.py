"""Who may ask, and how much: API keys, content type, size and time of a body, and a count of it all."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from typing import TYPE_CHECKING, Any

from arrowmind.errors import ConfigurationError
from arrowmind.observe import get_logger, metrics
from arrowmind.server.failures import RequestError, respond

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["ApiKeys", "Counting", "read_json"]

_log = get_logger("arrowmind.server")
_BODY_SECONDS = 60.0
_SHORTEST_KEY = 8


class ApiKeys:
    """Keys that clients show as `Authorization: Bearer KEY`, and who shows them. Only digests are kept."""

    def __init__(self, lines: Iterable[str] = ()) -> None:
        """Takes lines `KEY` or `KEY PRINCIPAL`; without any, everyone may ask.

        Raises:
            ConfigurationError: a key is too short or listed twice, or a line has more words.
        """
        self._principals: dict[bytes, str | None] = {}
        for words in filter(None, map(str.split, lines)):
            self._add(*words)

    def _add(self, key: str, principal: str | None = None, *more: str) -> None:
        if more:
            raise ConfigurationError("a line of API keys has more than two words; write KEY or KEY PRINCIPAL")
        if len(key) < _SHORTEST_KEY:
            raise ConfigurationError(f"an API key has fewer than {_SHORTEST_KEY} characters; use longer ones")
        digest = hashlib.sha256(key.encode()).digest()
        if self._principals.setdefault(digest, principal) != principal:
            raise ConfigurationError(
                f"one API key is that of {self._principals[digest]!r} and {principal!r}; give each their own"
            )
        self._principals[digest] = principal

    def __bool__(self) -> bool:
        return bool(self._principals)

    @property
    def principals(self) -> frozenset[str]:
        """Those that are named."""
        return frozenset(filter(None, self._principals.values()))

    def accept(self, header: str | None) -> bool:
        """Whether the header shows a key."""
        return not self._principals or self._shown(header) is not None

    def _shown(self, header: str | None) -> bytes | None:
        """Digest of the key that a header shows. Takes the same time wherever a wrong key differs."""
        scheme, _, key = (header or "").partition(" ")
        digest = hashlib.sha256(key.strip().encode("utf-8", "replace")).digest()
        found = [known for known in self._principals if hmac.compare_digest(digest, known)]
        return found[0] if found and scheme.lower() == "bearer" else None

    def check(self, request: Request) -> str | None:
        """Refuses a request without a key.

        Returns:
            Whose key it is; None for a key that names nobody, and where there are no keys.

        Raises:
            RequestError: 401.
        """
        if not self._principals:
            return None
        shown = self._shown(request.headers.get("authorization"))
        if shown is None:
            raise RequestError(
                401, "no API key that is known; send Authorization: Bearer KEY", "invalid_api_key"
            )
        return self._principals[shown]


async def read_json(request: Request, most: int) -> dict[str, Any]:
    """The JSON object of a request.

    Raises:
        RequestError: Too large, too slow, of another type, or no JSON object.
    """
    # Browsers do not send this type to another site without asking it first.
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise RequestError(415, f"the content type is {kind!r:.60}; send application/json")
    try:
        body = await asyncio.wait_for(_read(request, most), _BODY_SECONDS)
    except asyncio.TimeoutError:
        raise RequestError(408, f"the request was not complete after {_BODY_SECONDS:.0f} s") from None
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RequestError(400, f"the request is no JSON: {error!s:.200}") from error
    if not isinstance(value, dict):
        raise RequestError(400, f"the request is a JSON {type(value).__name__}; send an object")
    return value


async def _read(request: Request, most: int) -> bytes:
    too_large = RequestError(413, f"the request is larger than {most} bytes; send less", "request_too_large")
    declared = request.headers.get("content-length", "0")
    if not declared.isdigit() or int(declared[:20]) > most:
        raise too_large
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise too_large
        parts.append(part)
    return b"".join(parts)


class Counting:
    """Counts requests by route and status, and turns what nobody caught into an answer."""

    def __init__(self, app: ASGIApp, routes: Collection[str]) -> None:
        self._app, self._routes = app, frozenset(routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        route = scope["path"] if scope["path"] in self._routes else "other"
        status, started = "none", time.perf_counter()

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
            await send(message)

        try:
            await self._app(scope, receive, counted)
        except Exception as error:
            if status != "none":
                raise
            await respond(error)(scope, receive, counted)
        finally:
            seconds = time.perf_counter() - started
            metrics.http_requests.add(route=route, status=status)
            metrics.http_seconds.observe(seconds, route=route)
            _log.info("request", route=route, status=status, seconds=round(seconds, 4))
