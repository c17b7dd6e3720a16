"""The index of an encrypted folder: its files and which encryption of them belongs to it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from arrowmind.errors import IntegrityError, WeightError
from arrowmind.weights.documents import MAX_JSON_BYTES, encode_json
from arrowmind.weights.encryption.header import ID_BYTES

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Index", "IndexEntry"]

_FORMAT = "arrowmind.encrypted"
_VERSION = 1


@dataclass(frozen=True)
class IndexEntry:
    """A file of the folder: its size as text, and the id in the header of its encryption."""

    size: int
    file_id: bytes


@dataclass
class Index:
    """Files and folders by their names relative to the folder, with `/` between parts."""

    files: dict[str, IndexEntry] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)

    def encode(self) -> bytes:
        """As JSON.

        Raises:
            WeightError: there are too many names.
        """
        files = {name: {"bytes": e.size, "id": e.file_id.hex()} for name, e in self.files.items()}
        data = encode_json({"format": _FORMAT, "version": _VERSION, "folders": self.folders, "files": files})
        if len(data) > MAX_JSON_BYTES:
            raise WeightError(
                f"{len(files)} files make an index above {MAX_JSON_BYTES} bytes; is this a model?"
            )
        return data

    @classmethod
    def decode(cls, data: bytes, path: Path) -> Index:
        """Reads and checks an index.

        Raises:
            WeightError: a newer version wrote it.
            IntegrityError: it is not an index, or a name leaves the folder.
        """
        try:
            value = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise IntegrityError(f"{path} is not JSON ({error}); encrypt the folder again") from error
        if not isinstance(value, dict) or (value.get("format"), value.get("version")) != (_FORMAT, _VERSION):
            raise WeightError(f"{path} is no index of version {_VERSION}; upgrade ArrowMind")
        files, folders = value.get("files"), value.get("folders")
        if not isinstance(files, dict) or not isinstance(folders, list):
            raise IntegrityError(f"{path}: has no files and folders; encrypt the folder again")
        index = cls({name: _entry(entry, name, path) for name, entry in files.items()}, folders)
        for name in (*files, *folders):
            _check_name(name, path)
        return index


def _entry(value: Any, name: str, path: Path) -> IndexEntry:
    if isinstance(value, dict):
        size, text = value.get("bytes"), value.get("id")
        if isinstance(size, int) and isinstance(text, str) and size >= 0:
            try:
                file_id = bytes.fromhex(text)
            except ValueError:
                file_id = b""
            if len(file_id) == ID_BYTES:
                return IndexEntry(size, file_id)
    raise IntegrityError(f"{path}: entry {name!r} has no bytes and id; encrypt the folder again")


def _check_name(name: Any, path: Path) -> None:
    if isinstance(name, str) and name and "\0" not in name:
        parts = PurePosixPath(name)
        if not parts.is_absolute() and ".." not in parts.parts and parts.as_posix() == name != ".":
            return
    raise IntegrityError(f"{path}: name {name!r} leaves the folder; encrypt the folder again")
