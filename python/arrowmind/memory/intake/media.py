"""Images and sounds as callers hand them in: bytes or files, kept verbatim."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from arrowmind.errors import InvalidArgumentError
from arrowmind.memory.storage.attachments import Attachment

__all__ = ["Media", "check_media", "kind_of"]

MAX_MEDIA_BYTES = 256 << 20
"""Of one image or sound."""

# First bytes of files, with what must stand at byte 8 of containers.
_SIGNATURES = {
    "image": {
        b"\x89PNG\r\n\x1a\n": "image/png",
        b"\xff\xd8\xff": "image/jpeg",
        b"GIF87a": "image/gif",
        b"GIF89a": "image/gif",
        b"BM": "image/bmp",
        b"II*\0": "image/tiff",
        b"MM\0*": "image/tiff",
        (b"RIFF", b"WEBP"): "image/webp",
    },
    "audio": {
        (b"RIFF", b"WAVE"): "audio/wav",
        b"fLaC": "audio/flac",
        b"OggS": "audio/ogg",
        b"ID3": "audio/mpeg",
        b"\xff\xfb": "audio/mpeg",
        b"\xff\xf3": "audio/mpeg",
        b"\xff\xf2": "audio/mpeg",
        (b"FORM", b"AIFF"): "audio/aiff",
    },
}
_NEEDED = 12


@dataclass(frozen=True)
class Media:
    """An image or a sound.

    Attributes:
        kind: `image` or `audio`.
        media_type: told by the first bytes.
        source: the bytes, or the file they are in.
    """

    kind: str
    media_type: str
    source: bytes | Path

    @cached_property
    def data(self) -> bytes:
        """The bytes.

        Raises:
            InvalidArgumentError: the file cannot be read, or has become too large.
        """
        return self.source if isinstance(self.source, bytes) else _read(self.source, MAX_MEDIA_BYTES + 1)

    @cached_property
    def attachment(self) -> Attachment:
        """What the catalogue notes of it."""
        digest = hashlib.sha256(self.data).hexdigest()
        return Attachment(self.kind, digest, len(self.data), self.media_type)


def kind_of(head: bytes) -> str | None:
    """`image` or `audio` by the first bytes of a file, at least 12; None for neither."""
    return next((kind for kind in _SIGNATURES if _media_type(head, kind)), None)


def check_media(value: object, kind: str, name: str) -> Media | None:
    """An image or a sound that can be remembered; None stands for none.

    Args:
        value: the bytes of a file, or its path.
        kind: `image` or `audio`.
        name: of the argument, for errors.

    Raises:
        InvalidArgumentError: it is neither, cannot be read, is empty, too large, or of no known format.
    """
    if value is None:
        return None
    if isinstance(value, bytes | bytearray | memoryview):
        data = bytes(value)
        source: bytes | Path = data
        head, size = data[:_NEEDED], len(data)
    elif isinstance(value, str | os.PathLike):
        source = Path(value)
        head, size = _read(source, _NEEDED), _size(source)
    else:
        raise InvalidArgumentError(f"{name} is {type(value).__name__}; give the bytes of a file, or its path")
    if size > MAX_MEDIA_BYTES:
        raise InvalidArgumentError(f"{name} has {size} bytes, more than {MAX_MEDIA_BYTES}; cut it into parts")
    media_type = _media_type(head, kind)
    if media_type is None:
        known = sorted({type_.split("/")[1] for type_ in _SIGNATURES[kind].values()})
        raise InvalidArgumentError(f"{name} is no {kind} of a known format; give one of {', '.join(known)}")
    return Media(kind, media_type, source)


def _media_type(head: bytes, kind: str) -> str | None:
    for signature, media_type in _SIGNATURES[kind].items():
        first, inner = signature if isinstance(signature, tuple) else (signature, b"")
        if head.startswith(first) and head[8 : 8 + len(inner)] == inner:
            return media_type
    return None


def _read(path: Path, count: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(count)
    except (OSError, ValueError) as error:
        raise InvalidArgumentError(f"{path}: cannot be read: {error}; give a file that is there") from error
    if len(data) > MAX_MEDIA_BYTES:
        raise InvalidArgumentError(f"{path}: has more than {MAX_MEDIA_BYTES} bytes; cut it into parts")
    return data


def _size(path: Path) -> int:
    return path.stat().st_size
