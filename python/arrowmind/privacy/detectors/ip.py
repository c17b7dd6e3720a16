"""Addresses of machines, IPv4 and IPv6. Not looked for unless asked: most texts about machines hold some."""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING

from arrowmind.privacy.detector import Detector
from arrowmind.privacy.spans import Span

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["DETECTORS"]

_V4 = re.compile(r"[0-9](?<![0-9A-Za-z.].)[0-9]{0,2}(?:\.[0-9]{1,3}){3}(?![0-9A-Za-z]|\.[0-9])")
_V6 = re.compile(r"[0-9A-Fa-f:](?<![0-9A-Za-z:.].)[0-9A-Fa-f:.]{1,45}(?![0-9A-Za-z:])")


def _find_v4(text: str) -> Iterator[Span]:
    for match in _V4.finditer(text):
        if _is_address(socket.AF_INET, match[0]):
            yield Span(match.start(), match.end(), "ipv4", 0.8)


def _find_v6(text: str) -> Iterator[Span]:
    for match in _V6.finditer(text):
        address = match[0].rstrip(".")
        if address[:1] == ":" and not _is_address(socket.AF_INET6, address):
            address = address[1:]  # the colon of the sentence
        if address.count(":") > 1 and len(address) > 2 and _is_address(socket.AF_INET6, address):
            start = match.start() + match[0].index(address)
            yield Span(start, start + len(address), "ipv6", 0.8)


def _is_address(family: int, text: str) -> bool:
    try:
        socket.inet_pton(family, text)
    except OSError:
        return False
    return True


DETECTORS = (Detector("ipv4", _find_v4, standard=False), Detector("ipv6", _find_v6, standard=False))
