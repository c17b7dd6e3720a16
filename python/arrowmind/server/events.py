"""Answers to clients who may vanish: whatever works for them is cancelled when they do."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

    from starlette.types import Receive, Scope, Send

__all__ = ["ClientGoneError", "EventStream", "unless_gone"]

Result = TypeVar("Result")
# A client that takes nothing for so long counts as gone.
_SEND_SECONDS = 60.0


class ClientGoneError(Exception):
    """Nobody is there to answer to."""


async def unless_gone(receive: Receive, work: Coroutine[Any, Any, Result]) -> Result:
    """What `work` gives; it is cancelled when the client disconnects.

    Raises:
        ClientGoneError: It did.
    """
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_disconnected(receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientGoneError
        return working.result()
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class EventStream(Response):
    """Server-sent events: each a JSON object, and `[DONE]` at the end."""

    media_type = "text/event-stream"

    def __init__(self, objects: AsyncIterator[dict[str, Any]]) -> None:
        """Not begun.

        Args:
            objects: What to send; closed when the client leaves.
        """
        super().__init__(headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._objects = objects

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Sends until the end, or until nobody listens."""
        try:
            await unless_gone(receive, self._send(send))
        except (ClientGoneError, OSError, asyncio.TimeoutError):
            return
        finally:
            close = getattr(self._objects, "aclose", None)
            if close is not None:
                await close()

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        async for item in self._objects:
            await _send_line(send, json.dumps(item, ensure_ascii=False, separators=(",", ":")))
        await _send_line(send, "[DONE]")
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _send_line(send: Send, text: str) -> None:
    # Lone surrogates, which JSON can carry and UTF-8 cannot, do not come out of a detokenizer.
    body = f"data: {text}\n\n".encode("utf-8", "replace")
    message = {"type": "http.response.body", "body": body, "more_body": True}
    await asyncio.wait_for(send(message), _SEND_SECONDS)
