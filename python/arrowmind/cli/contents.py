"""What is to be remembered, out of words, files and folders: by what is in a file, not by its name."""

from __future__ import annotations

import os
import stat
import sys
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arrowmind.cli.stores import is_store
from arrowmind.errors import InvalidArgumentError
from arrowmind.faces.passages import passages
from arrowmind.memory.intake.media import MAX_MEDIA_BYTES, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["Source", "rows_of", "sources_of"]

_MOST_TEXT_BYTES = 64 << 20
_HEAD = 4096
_STDIN = "-"


@dataclass(frozen=True)
class Source:
    """A word of the command line, or a file.

    Attributes:
        name: what to call it.
        path: the file; None for a text.
        is_stdin: whether standard input is meant.
    """

    name: str
    path: Path | None = None
    is_stdin: bool = False

    @property
    def is_text(self) -> bool:
        """Whether the name itself is to be remembered."""
        return self.path is None and not self.is_stdin


def sources_of(words: Sequence[str], *, recursive: bool, tell: Callable[[str], None]) -> list[Source]:
    """What the words mean: files and folders that are there, `-`, and texts.

    Args:
        words: of the command line.
        recursive: take what is below the folders of a folder, too.
        tell: called with what a person might not expect.

    Raises:
        InvalidArgumentError: a word looks like a file and is none.
    """
    found: list[Source] = []
    for word in words:
        path = _path_of(word)
        if word == _STDIN:
            found.append(Source("standard input", is_stdin=True))
        elif path is None:
            if _looks_like_a_file(word):
                raise InvalidArgumentError(f"there is no file {word}; give --text if it is a text itself")
            found.append(Source(word))
        elif path.is_dir():
            inside = list(_files(path, recursive=recursive, tell=tell))
            if not inside:
                tell(f"{word}: there is no file in it")
            found += inside
        else:
            found.append(Source(word, path))
    return found


def rows_of(source: Source) -> Iterator[dict[str, Any]]:
    """What to remember of a source, as arguments of `remember`.

    Raises:
        InvalidArgumentError: it is no text, image or sound, it is empty, too large, or cannot be read.
    """
    if source.is_text:
        yield {"text": source.name}
        return
    data, about = _content(source)
    kind = None if _is_text(data[:_HEAD]) else kind_of(data[:_HEAD])
    if kind is not None:
        yield {"text": None, kind: data, "metadata": about}
        return
    if len(data) > _MOST_TEXT_BYTES:
        raise InvalidArgumentError(f"is larger than {_MOST_TEXT_BYTES} bytes; cut it into parts")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise InvalidArgumentError("is no text in UTF-8, no image and no sound of a known kind")
    pieces = list(passages(text))
    if not pieces:
        raise InvalidArgumentError("is empty")
    for number, piece in enumerate(pieces, 1):
        place = {"part": number, "parts": len(pieces), "line": piece.line} if len(pieces) > 1 else {}
        yield {"text": piece.text, "metadata": {**about, **place}}


def _path_of(word: str) -> Path | None:
    """The file or folder of this name, if there is one; no text is so odd that asking fails."""
    try:
        path = Path(word)
        return path if word.strip() and path.exists() else None
    except (OSError, ValueError):
        return None


def _looks_like_a_file(word: str) -> bool:
    if any(sign.isspace() for sign in word) or "://" in word:
        return False
    suffix = Path(word).suffix
    return os.sep in word or (1 < len(suffix) <= 5 and not suffix[1:].isdigit())


def _files(folder: Path, *, recursive: bool, tell: Callable[[str], None]) -> Iterator[Source]:
    """Regular files, in the order of their names. Hidden ones and links to folders are left out."""

    def failed(error: OSError) -> None:
        tell(f"skipped {error.filename}: {error.strerror}")

    for place, folders, names in os.walk(folder, onerror=failed):
        if is_store(Path(place)):
            tell(f"skipped {place}: is a memory store; export it and import that")
            folders[:] = []
            continue
        folders[:] = sorted(name for name in folders if not name.startswith(".")) if recursive else []
        for name in sorted(names):
            path = Path(place, name)
            if not name.startswith("."):
                yield Source(str(path), path)


def _content(source: Source) -> tuple[bytes, dict[str, Any]]:
    """Bytes of a source, and what is known of them."""
    if source.path is None:
        data = sys.stdin.buffer.read(MAX_MEDIA_BYTES + 1)
        return _bounded(data), {}
    try:
        # A pipe or a device might have no end.
        about = source.path.stat()
        if not stat.S_ISREG(about.st_mode):
            raise InvalidArgumentError("is no regular file")
        with source.path.open("rb") as file:
            data = file.read(MAX_MEDIA_BYTES + 1)
    except OSError as error:
        raise InvalidArgumentError(f"cannot be read ({error.strerror})") from error
    modified = datetime.fromtimestamp(about.st_mtime, timezone.utc).isoformat(timespec="seconds")
    return _bounded(data), {"file": _said(source.name), "modified": modified}


def _bounded(data: bytes) -> bytes:
    if len(data) > MAX_MEDIA_BYTES:
        raise InvalidArgumentError(f"is larger than {MAX_MEDIA_BYTES} bytes; cut it into parts")
    return data


def _said(name: str) -> str:
    """A name of a file as text: the bytes of some are none."""
    return os.fsencode(name).decode("utf-8", "replace")


def _is_text(head: bytes) -> bool:
    """Whether bytes are a text, whatever they begin with: `BMW` is no picture."""
    try:
        head.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if len(head) < _HEAD or error.start < _HEAD - 4:  # else a character was cut
            return False
    return b"\0" not in head
