"""One HTTP request with a deadline for all of it and a bound on the answer."""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import json
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from arrowmind.errors import ConfigurationError, ProviderError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Address", "Answer", "post"]

_CHUNK = 64 << 10
_PASSING = {408, 409, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529}
_MAX_AFTER = 3600.0
_SHOWN = 200


@dataclass(frozen=True)
class Address:
    """Where requests go.

    Attributes:
        url: `http://` or `https://`, without the path of the request.
        headers: of every request; keys among them are never in a message.
        max_bytes: of an answer.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    max_bytes: int = 4 << 20

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
            raise ConfigurationError(
                f"consolidation.url = {_without_secrets(self.url)!r} is no http:// or https:// address; "
                "give for instance http://localhost:11434"
            )
        secret = {name.lower() for name in self.headers} & {"authorization", "x-api-key"}
        if parts.scheme == "http" and secret and not _is_near(parts.hostname):
            raise ConfigurationError(
                f"consolidation.url = {self.url!r}: an API key would travel unencrypted; use https://"
            )

    @property
    def shown(self) -> str:
        """For messages."""
        return self.url


@dataclass(frozen=True)
class Answer:
    """What came back with status 200."""

    body: bytes
    kind: str


def post(address: Address, path: str, body: Mapping[str, Any], timeout: float) -> Answer:
    """Sends JSON, reads the answer.

    Raises:
        ProviderError: no connection, too slow, another status than 200, or more bytes than allowed.
    """
    parts = urlsplit(address.url)
    make = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    deadline = time.monotonic() + timeout
    connection = make(parts.hostname or "", parts.port, timeout=timeout)
    try:
        connection.connect()
        with _cut_off(connection, deadline):
            headers = {"Content-Type": "application/json", "Accept": "application/json", **address.headers}
            data = json.dumps(body, allow_nan=False).encode()
            connection.request("POST", parts.path.rstrip("/") + path, data, headers)
            with contextlib.closing(connection.getresponse()) as response:
                received = _read(response, address)
    except ProviderError:
        raise
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _failure(address, error, late=time.monotonic() >= deadline, timeout=timeout) from error
    finally:
        connection.close()
    if time.monotonic() >= deadline:
        raise _failure(address, TimeoutError(), late=True, timeout=timeout)
    return _judged(address, response, received)


@contextlib.contextmanager
def _cut_off(connection: http.client.HTTPConnection, deadline: float) -> Any:
    """Ends the connection at the deadline: a server that sends a byte now and then passes every time-out."""
    sock = connection.sock

    def cut() -> None:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(max(deadline - time.monotonic(), 0.0), cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


def _read(response: http.client.HTTPResponse, address: Address) -> bytes:
    parts, size = [], 0
    while data := response.read1(_CHUNK):
        size += len(data)
        if size > address.max_bytes:
            raise ProviderError(
                f"{address.shown}: answered with more than {address.max_bytes} bytes; is it a language model?"
            )
        parts.append(data)
    expected = response.length  # What Content-Length still promises.
    if expected:
        raise http.client.IncompleteRead(b"".join(parts), expected)
    return b"".join(parts)


def _judged(address: Address, response: http.client.HTTPResponse, body: bytes) -> Answer:
    kind = response.headers.get_content_type()
    if response.status == 200:
        return Answer(body, kind)
    passing = response.status in _PASSING
    remedy = {
        401: "check the API key",
        403: "check the API key and what it may do",
        404: "check consolidation.url and consolidation.model",
        413: "lower consolidation.max_cluster",
        429: "lower consolidation.requests_per_minute",
    }.get(response.status, "try again later" if passing else "check consolidation.url and the model")
    if 300 <= response.status < 400:
        remedy = "redirections are not followed; give the final address"
    raise ProviderError(
        f"{address.shown}: status {response.status} {response.reason!r}: {_excerpt(body, kind)}; {remedy}",
        is_passing=passing,
        after=_retry_after(response.headers.get("Retry-After")),
    )


def _failure(address: Address, error: Exception, *, late: bool, timeout: float) -> ProviderError:
    if late or isinstance(error, TimeoutError):
        return ProviderError(
            f"{address.shown}: no whole answer within {timeout:g} s; raise consolidation.timeout or take a "
            "smaller model",
            is_passing=True,
        )
    if isinstance(error, socket.gaierror | ConnectionRefusedError):
        return ProviderError(
            f"{address.shown}: nobody answers ({error}); is the server running, and consolidation.url right?",
            is_passing=True,
        )
    return ProviderError(
        f"{address.shown}: the connection failed ({type(error).__name__}: {error}); try again later",
        is_passing=True,
    )


def _excerpt(body: bytes, kind: str) -> str:
    if "html" in kind or body.lstrip()[:1] == b"<":
        return "a page of HTML"
    text = " ".join(body[:_SHOWN].decode("utf-8", "replace").split())
    return repr(text) if text else "no text"


def _retry_after(text: str | None) -> float | None:
    """Seconds; the other form, a date, is not looked at."""
    try:
        seconds = float(text or "")
    except ValueError:
        return None
    return min(max(seconds, 0.0), _MAX_AFTER) if seconds == seconds else None


def _is_near(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _without_secrets(url: str) -> str:
    return url.rpartition("@")[2] if "@" in url else url
