"""The loop of the server: one thread reads, another works, so that pings and cancelling do not wait."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Any, BinaryIO

from arrowmind.mcp.messages import (
    INTERNAL_ERROR,
    INVALID_REQUEST,
    OVERLOADED,
    Message,
    ProtocolError,
    encoded,
    failed,
    parse,
    read_lines,
    succeeded,
)
from arrowmind.observe import get_logger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from arrowmind.mcp.protocol import Protocol

__all__ = ["serve"]

_log = get_logger("arrowmind.mcp")
MOST_WAITING = 256
"""Requests that may wait; more are refused: no client has so many questions at once."""


def serve(protocol: Protocol, reading: BinaryIO, writing: BinaryIO, most_bytes: int) -> None:
    """Answers until the client closes its end; what it asked before is answered still.

    Args:
        protocol: gives the answers.
        reading: lines of the client.
        writing: where answers go.
        most_bytes: of a line; longer ones are refused.
    """
    server = _Server(protocol, writing)
    worker = threading.Thread(target=server.work, name="arrowmind-mcp", daemon=True)
    worker.start()
    try:
        for line in read_lines(reading, most_bytes):
            server.take(line, most_bytes)
            if server.client_is_gone:
                break
    except BaseException:  # an interrupt: what waits is not answered any more
        server.client_is_gone = True
        raise
    finally:
        server.end()
        worker.join()  # it may be in native code, which an interpreter that goes does not survive


class _Server:
    def __init__(self, protocol: Protocol, writing: BinaryIO) -> None:
        self._protocol, self._writing = protocol, writing
        self._queue: queue.Queue[Message | None] = queue.Queue()
        self._lock = threading.Lock()
        self._open: dict[int | str, bool] = {}  # requests that wait or run -> whether the client still cares
        self.client_is_gone = False

    def take(self, line: bytes | None, most_bytes: int) -> None:
        """Answers a line at once if that is quick, or lets it wait for the worker."""
        try:
            if line is None:
                raise ProtocolError(INVALID_REQUEST, f"a line is longer than {most_bytes} bytes; send less")
            message = parse(line)
            if message is not None:
                self._take(message)
        except ProtocolError as error:
            self._write(failed(error))

    def _take(self, message: Message) -> None:
        if message.id is None:
            if message.method == "notifications/cancelled":
                self._cancel(message.params.get("requestId"))
            return
        if message.method == "ping":
            self._answer(message)
            return
        with self._lock:
            if message.id in self._open:
                raise ProtocolError(INVALID_REQUEST, "this id is in use; take another", None, message.id)
            if len(self._open) >= MOST_WAITING:
                text = f"{MOST_WAITING} requests wait already; try again later"
                raise ProtocolError(OVERLOADED, text, None, message.id)
            self._open[message.id] = True
        self._queue.put(message)

    def _cancel(self, id_: Any) -> None:
        with self._lock:
            if isinstance(id_, int | str) and id_ in self._open:
                self._open[id_] = False

    def end(self) -> None:
        """Lets the worker leave when nothing waits any more."""
        self._queue.put(None)

    def work(self) -> None:
        """Answers what waits. A request that was cancelled gets no answer; if it runs already, it ends."""
        while (message := self._queue.get()) is not None:
            if message.id is None:
                continue
            if self._open[message.id] and not self.client_is_gone:
                self._answer(message)
            with self._lock:
                del self._open[message.id]

    def _answer(self, message: Message) -> None:
        id_ = message.id
        if id_ is None:
            return
        try:
            told = succeeded(id_, self._protocol.answer(message))
        except ProtocolError as error:
            error.id = id_
            told = failed(error)
        except Exception:
            _log.exception("a request failed", method=message.method)
            text = "internal error; see the server's log"
            told = failed(ProtocolError(INTERNAL_ERROR, text, None, id_))
        if self._open.get(id_, True):
            self._write(told)

    def _write(self, told: Mapping[str, Any]) -> None:
        line = encoded(told)
        with self._lock:
            try:
                self._writing.write(line)
                self._writing.flush()
            except (OSError, ValueError):  # nobody reads any more
                self.client_is_gone = True
