"""E-mail addresses, in prose of any script; those with unquoted local parts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from arrowmind.privacy.detector import Detector
from arrowmind.privacy.spans import Span

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["DETECTORS"]

# Letters of alphabets. Scripts without blanks between words are not among them: they would take in the prose.
_LETTERS = "A-Za-z\u00c0-\u024f\u0370-\u052f"
_LOCAL_SIGN = rf"[{_LETTERS}0-9.!#$%&'*+/=?^_`{{|}}~-]"
_AT = re.compile(rf"@(?<={_LOCAL_SIGN}@)(?=[{_LETTERS}0-9][{_LETTERS}0-9-]{{0,62}}\.)")
_LOCAL_BACKWARDS = re.compile(rf"{_LOCAL_SIGN}{{1,64}}")
_DOMAIN = re.compile(rf"[{_LETTERS}0-9.-]{{1,253}}")
_LABEL = re.compile(rf"[{_LETTERS}0-9](?:[{_LETTERS}0-9-]{{0,61}}[{_LETTERS}0-9])?")
_TOP = re.compile(rf"[{_LETTERS}]{{2,24}}|xn--[a-z0-9-]{{1,59}}")
_LOCAL_BYTES = 64


def _find(text: str) -> Iterator[Span]:
    behind = 0
    for sign in _AT.finditer(text):
        at = sign.start()
        domain = _DOMAIN.match(text, at + 1)
        length = _domain_length(domain[0]) if domain else 0
        local = _LOCAL_BACKWARDS.match(text[max(behind, at - _LOCAL_BYTES) : at][::-1]) if length else None
        behind = at + 1
        if local is None:
            continue
        name = local[0][::-1]
        kept = name.lstrip(".'`*/=?{|}!#$%&+~^")
        if kept and not kept.endswith("."):
            yield Span(at - len(kept), at + 1 + length, "email", 0.95)


def _domain_length(text: str) -> int:
    """Characters of the longest domain that the text begins with; 0 if there is none."""
    labels: list[str] = []
    for label in text.split("."):
        whole = _LABEL.fullmatch(label) is not None
        if not whole and not (labels and (label := label.rstrip("-")) and _LABEL.fullmatch(label)):
            break
        labels.append(label)
        if not whole:
            break
    while labels and not _TOP.fullmatch(labels[-1]):
        labels.pop()
    return len(".".join(labels)) if len(labels) > 1 else 0


DETECTORS = (Detector("email", _find),)
