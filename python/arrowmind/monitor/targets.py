"""Servers and processes that are watched."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from arrowmind.errors import InvalidArgumentError
from arrowmind.monitor.samples import Sample, parse_metrics
from arrowmind.monitor.summary import Summary, summarise

if TYPE_CHECKING:
    import psutil

__all__ = ["Reading", "Target", "target_of"]

_SECONDS = 5.0
_LARGEST = 1 << 24
_LOCAL = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}


@dataclass(frozen=True)
class Reading:
    """What came of asking once.

    Attributes:
        target: who was asked.
        summary: what it says; the last one that there was, where it does not answer.
        problem: why it does not answer, and what to do; empty if it does.
    """

    target: str
    summary: Summary | None
    problem: str = ""


class Target:
    """The metrics at an address, or of the server that a process is. Remembers the sample before."""

    def __init__(self, name: str, address: str = "", pid: int | None = None, key: str = "") -> None:
        """Asks nobody yet.

        Args:
            name: as it was given.
            address: of the server, as http://host:port.
            pid: number of the process instead; its address is found.
            key: for the API, where one is needed.
        """
        self.name = name
        self._address, self._pid, self._key = address, pid, key
        self._before: Sample | None = None
        self._last: Summary | None = None

    def read(self) -> Reading:
        """Asks once; what goes wrong is told in the reading, not raised."""
        try:
            sample = parse_metrics(self._fetch(), time.monotonic())
        except (InvalidArgumentError, OSError, ValueError) as error:
            self._before = None
            return Reading(self.name, self._last, str(error))
        self._last = summarise(sample, self._before)
        self._before = sample
        return Reading(self.name, self._last)

    def _fetch(self) -> str:
        address = self._address if self._pid is None else _address_of(self._pid)
        request = urllib.request.Request(f"{address}/metrics")
        if self._key:
            request.add_header("Authorization", f"Bearer {self._key}")
        try:
            with _opener().open(request, timeout=_SECONDS) as answer:
                data: bytes = answer.read(_LARGEST)
        except urllib.error.HTTPError as error:
            raise InvalidArgumentError(_refusal(address, error.code)) from error
        except (urllib.error.URLError, OSError) as error:
            reason = getattr(error, "reason", error)
            raise InvalidArgumentError(
                f"{address} does not answer ({reason}); start `arrowmind serve`, or name its address"
            ) from error
        return data.decode("utf-8", "replace")


def target_of(word: str, key: str = "") -> Target:
    """What a word of the command line names: an address, `host:port`, a port, or the number of a process.

    Numbers up to 65535 that no process has are ports of this machine.

    Raises:
        InvalidArgumentError: it names nothing of these.
    """
    if word.isdecimal():
        import psutil  # noqa: PLC0415  not needed for addresses

        if psutil.pid_exists(int(word)):
            return Target(f"process {word}", pid=int(word), key=key)
        if 0 < int(word) < 1 << 16:
            return Target(word, f"http://127.0.0.1:{word}", key=key)
        raise InvalidArgumentError(
            f"there is no process {word}; name a server, such as http://127.0.0.1:8000"
        )
    address = word if "://" in word else f"http://{word}"
    try:
        parts = urlsplit(address)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port is not False
    except ValueError:
        valid = False
    if not valid or not word.isprintable() or " " in word:
        raise InvalidArgumentError(
            f"{word!r} is no server; name one such as http://127.0.0.1:8000, or a process"
        )
    return Target(word, address.rstrip("/").removesuffix("/metrics").removesuffix("/v1"), key=key)


def _address_of(pid: int) -> str:
    """Where a process listens.

    Raises:
        InvalidArgumentError: it is gone, is somebody else's, or listens nowhere.
    """
    import psutil  # noqa: PLC0415  not needed for addresses

    try:
        connections = _connections(psutil.Process(pid))
    except psutil.NoSuchProcess as error:
        raise InvalidArgumentError(f"process {pid} is gone; start the server again") from error
    except psutil.AccessDenied as error:
        raise InvalidArgumentError(f"process {pid} is not yours; name the address of its server") from error
    places = [one.laddr for one in connections if one.status == psutil.CONN_LISTEN]
    if not places:
        raise InvalidArgumentError(f"process {pid} listens nowhere; name one that runs `arrowmind serve`")
    host = _LOCAL.get(places[0].ip, places[0].ip)
    return f"http://{f'[{host}]' if ':' in host and '[' not in host else host}:{places[0].port}"


def _connections(process: psutil.Process) -> list[Any]:
    listed = getattr(process, "net_connections", None) or process.connections  # the name until psutil 6
    return list(listed(kind="tcp"))


def _refusal(address: str, status: int) -> str:
    if status in (401, 403):
        return f"{address} asks for an API key; set ARROWMIND_API_KEY"
    return f"{address} answers {status}; is it `arrowmind serve`?"


def _opener() -> urllib.request.OpenerDirector:
    """Without a proxy: what is watched is near."""
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))
