"""The bytes of a file or of a caller, not more than allowed."""

from __future__ import annotations

import os
from pathlib import Path

from arrowmind.errors import InvalidArgumentError

__all__ = ["name_of", "read_bytes"]


def name_of(source: object) -> str:
    """What to call a source in messages."""
    return str(source) if isinstance(source, str | os.PathLike) else f"{type(source).__name__}"


def read_bytes(source: str | os.PathLike[str] | bytes | bytearray | memoryview, most: int) -> bytes:
    """The bytes of a file, or those given.

    Raises:
        InvalidArgumentError: there are none or more than `most`, or the file cannot be read.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        data = bytes(source[: most + 1])
    else:
        try:
            with Path(source).open("rb") as file:
                data = file.read(most + 1)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InvalidArgumentError(f"{source} cannot be read ({reason}); name a file") from error
    if len(data) > most:
        raise InvalidArgumentError(f"{name_of(source)} is larger than {most} bytes; give a smaller one")
    if not data:
        raise InvalidArgumentError(f"{name_of(source)} is empty; give a whole file")
    return data
