"""One line of the log: `HASH JSON`, where HASH = SHA-256(hash of the line before, a blank, JSON), in hex."""

from __future__ import annotations

import datetime
import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "MAX_IDS",
    "MAX_LINE_BYTES",
    "START",
    "ZERO_HASH",
    "Access",
    "Head",
    "chained",
    "line_of",
    "parse_line",
]

ZERO_HASH = "0" * 64
"""Before the first line of all."""

START = "log.start"
"""Action of the first line of each file; it repeats the hash before it."""

MAX_IDS = 100
MAX_LINE_BYTES = 1 << 17
"""Twelve for each character of the longest entry, which JSON writes for one beyond the first plane."""

_MAX_CHARACTERS = 256
_HASH_CHARACTERS = 64


@dataclass(frozen=True)
class Access:
    """What was done.

    Attributes:
        action: for instance `recall`, `remember`, `forget`.
        caller: who asked for it.
        purpose: why, in the caller's words.
        namespace: of what.
        ids: of the memories concerned. Up to 100 are listed; of more, only their number is.
        allowed: False for what was refused.
        details: further short facts, for instance counts; never texts of memories.
    """

    action: str
    caller: str = ""
    purpose: str = ""
    namespace: str = ""
    ids: Sequence[int | str] = ()
    allowed: bool = True
    details: Mapping[str, int | str] = field(default_factory=dict)

    def values(self, time_ns: int, query: str) -> dict[str, Any]:
        """What is written of it; empty fields are left out, long ones cut at 256 characters."""
        moment = datetime.datetime.fromtimestamp(time_ns // 1000 / 1e6, datetime.timezone.utc)
        texts = {"caller": self.caller, "purpose": self.purpose, "namespace": self.namespace, "query": query}
        values: dict[str, Any] = {
            "time": moment.isoformat(timespec="microseconds"),
            "action": _cut(self.action),
        }
        values |= {name: _cut(text) for name, text in texts.items() if text}
        if self.ids:
            values["count"] = len(self.ids)
        if 0 < len(self.ids) <= MAX_IDS:
            values["ids"] = [_short(id_) for id_ in self.ids]
        if not self.allowed:
            values["allowed"] = False
        if self.details:
            values["details"] = {name[:64]: _short(value) for name, value in [*self.details.items()][:10]}
        return values


def _cut(text: str) -> str:
    return str(text)[:_MAX_CHARACTERS]


def _short(value: int | str) -> int | str:
    return value if isinstance(value, int) else str(value)[:64]


@dataclass(frozen=True)
class Head:
    """The end of a log: kept elsewhere, it shows later that nothing before it was changed or cut off.

    Attributes:
        number: of its last entry; 0 for an empty log.
        hash: of its last line, in hex.
    """

    number: int = 0
    hash: str = ZERO_HASH


def line_of(head: Head, values: Mapping[str, Any]) -> tuple[bytes, Head]:
    """The next line of a log, and its new head."""
    text = json.dumps({"n": head.number + 1, **values}, separators=(",", ":")).encode()
    digest = chained(head.hash, text)
    return digest.encode() + b" " + text + b"\n", Head(head.number + 1, digest)


def chained(before: str, text: bytes) -> str:
    """The hash of a line."""
    return hashlib.sha256(before.encode() + b" " + text).hexdigest()


def parse_line(line: bytes) -> tuple[str, bytes, dict[str, Any]] | None:
    """Hash, JSON and values of a line; None if it is none."""
    text = line[_HASH_CHARACTERS + 1 : -1]
    if not line.endswith(b"\n") or line[_HASH_CHARACTERS : _HASH_CHARACTERS + 1] != b" ":
        return None
    try:
        values = json.loads(text)
        digest = line[:_HASH_CHARACTERS].decode("ascii")
    except (ValueError, RecursionError):
        return None
    if not isinstance(values, dict) or type(values.get("n")) is not int:
        return None
    return digest, text, values
