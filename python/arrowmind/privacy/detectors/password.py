"""What stands behind a word for password, token or key; passwords in URLs; authorization headers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from arrowmind.privacy.detector import Detector
from arrowmind.privacy.spans import Span

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["DETECTORS"]

_STRONG = ("password", "passwd", "passphrase", "passcode", "pwd", "\u5bc6\u7801", "\u53e3\u4ee4")
_WEAK = (
    *("secret", "token", "credential", "credentials"),
    *(
        f"{what}{sign}key"
        for what in ("api", "access", "auth", "private", "secret")
        for sign in ("", "_", "-", " ")
    ),
    *(f"{what}{end}" for what in ("secret", "token") for end in ("_value", "_id", "-id")),
)
_WORDS = (*_STRONG, *_WEAK)
_ASSIGNED = re.compile(r"[=:\u662f](?<=[A-Za-z \"'\u7801\u4ee4].)[=>]?[ ]{0,3}")
_SAID = re.compile(r" is (?<=[drey] is )[ ]{0,2}")
_VALUE = re.compile(
    r"\"([^\"\r\n]{4,256})\"|'([^'\r\n]{4,256})'|([^\s\"'<>(){}\[\],;\uff0c\u3002\uff1b]{4,256})"
)
_BARE = 3  # group of a value without quotes
_MIN_CHARACTERS = 4
_WORD_AND_GAP = 20
_NAMES = re.compile(r"_\w+|[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+")  # of programs: os.environ, self.token
_PLACEHOLDERS = re.compile(
    r"(?i)none|null|true|false|str|string|bytes|int|optional|required|undefined|\*+|x{3,}|\.{3,}|[$%<{].*"
)
_URL = re.compile(r"://(?<=[A-Za-z0-9]://)[^\s/?#:@\"'<>]{0,128}:([^\s/?#@\"'<>]{1,256})@")
_HEADER = re.compile(
    r"(?i:authorization)[\"']?[ ]{0,3}[:=][ ]{0,3}[\"']?(?:(?i:bearer|basic|token) )?([\w.~+/=-]{8,2048})"
)


def _find(text: str) -> Iterator[Span]:
    for pattern in (_ASSIGNED, _SAID):
        for match in pattern.finditer(text):
            span = _value(text, match)
            if span is not None:
                yield span
    for pattern, confidence in ((_URL, 0.95), (_HEADER, 0.9)):
        for match in pattern.finditer(text):
            yield Span(match.start(1), match.end(1), "secret", confidence)


def _value(text: str, sign: re.Match[str]) -> Span | None:
    """The value behind a sign, if a word for a secret stands before it and the value may be one."""
    start = sign.start()
    before = text[max(0, start - _WORD_AND_GAP) : start].rstrip(" ").rstrip("\"'").lower()
    value = _VALUE.match(text, sign.end()) if before.endswith(_WORDS) else None
    if value is None:
        return None
    group = value.lastindex or 0
    held = value[group] if group < _BARE else value[group].rstrip(".:!?")
    if len(held) < _MIN_CHARACTERS or _PLACEHOLDERS.fullmatch(held) or before.endswith(held.lower()):
        return None
    if group == _BARE and (_NAMES.fullmatch(held) or text[value.end() : value.end() + 1] == "("):
        return None
    is_strong = before.endswith(_STRONG)
    if group == _BARE and not (is_strong and "=" in sign[0]) and not _looks_secret(held, is_strong=is_strong):
        return None
    return Span(value.start(group), value.start(group) + len(held), "secret", 0.8 if is_strong else 0.7)


def _looks_secret(value: str, *, is_strong: bool) -> bool:
    """Whether a bare value is more than a word of the sentence, or a name in a program."""
    has_digit = any(map(str.isdigit, value))
    has_other = any(not character.isalnum() for character in value)
    if is_strong:
        return len(value) >= 6 and (has_digit or has_other)
    return len(value) >= 8 and has_digit and any(map(str.isalpha, value))


DETECTORS = (Detector("secret", _find),)
