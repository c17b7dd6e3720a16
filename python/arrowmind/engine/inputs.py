"""What callers give an engine to read, checked."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING

from arrowmind.errors import InvalidArgumentError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["check_ids", "check_texts", "read_text"]


def check_texts(texts: object) -> list[str]:
    """`texts` as a list of strings.

    Raises:
        InvalidArgumentError: It is neither a string nor a sequence of strings.
    """
    if isinstance(texts, str):
        return [texts]
    if isinstance(texts, bytes) or not hasattr(texts, "__iter__"):
        raise InvalidArgumentError(f"texts is {type(texts).__name__}; give a string or a list of strings")
    listed = list(texts)
    for index, text in enumerate(listed):
        if not isinstance(text, str):
            raise InvalidArgumentError(f"texts[{index}] is {type(text).__name__}, not a string: {text!r:.80}")
    return listed


def check_ids(ids: object) -> list[int]:
    """`ids` as a list of whole numbers.

    Raises:
        InvalidArgumentError: It is no sequence of them.
    """
    if isinstance(ids, bytes) or not hasattr(ids, "__iter__"):
        raise InvalidArgumentError(f"a prompt is {type(ids).__name__}; give text or token ids")
    listed = list(ids)
    for place, token in enumerate(listed):
        if isinstance(token, bool) or not isinstance(token, Integral):
            raise InvalidArgumentError(f"token ids[{place}] is {token!r:.80}, not a whole number")
    return [int(token) for token in listed]


def read_text(path: Path) -> str:
    """The text of a file, UTF-8; bytes that are not are read as U+FFFD.

    Raises:
        InvalidArgumentError: There is no such file, or it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise InvalidArgumentError(f"{path} cannot be read: {error.strerror}") from error
