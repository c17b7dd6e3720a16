"""manifest.json: size and SHA-256 of every file of a model folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from arrowmind.columnar import ArrowFile, publish_bytes
from arrowmind.errors import IntegrityError, WeightError
from arrowmind.frozen import dataclass
from arrowmind.weights.documents import encode_json, read_json_object

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "FILE_NAME",
    "FileEntry",
    "check_file",
    "check_root",
    "check_size",
    "read_manifest",
    "refresh_entry",
    "write_manifest",
]

FILE_NAME = "manifest.json"

_FORMAT = "arrowmind.model"
_VERSION = 1
_PIECE_BYTES = 1 << 20


@dataclass(frozen=True)
class FileEntry:
    """One file of the folder.

    Attributes:
        bytes: its size.
        sha256: SHA-256 of its content, in hex.
        root: root of its hash tree, in hex; empty for a file without one.
    """

    bytes: int
    sha256: str
    root: str = ""

    def to_dict(self) -> dict[str, int | str]:
        """For JSON."""
        return {name: value for name, value in vars(self).items() if value != ""}


def write_manifest(folder: Path) -> None:
    """Writes the manifest of everything else in ``folder``."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != FILE_NAME)
    files = {path.relative_to(folder).as_posix(): _describe(path).to_dict() for path in paths}
    value = {"format": _FORMAT, "version": _VERSION, "files": files}
    (folder / FILE_NAME).write_bytes(encode_json(value))


def refresh_entry(path: Path) -> None:
    """Describes a file anew in the manifest beside it, if there is one that names it."""
    place = path.parent / FILE_NAME
    if not place.exists() or path.name not in read_manifest(path.parent):
        return
    value = read_json_object(place)
    value["files"][path.name] = _describe(path).to_dict()
    publish_bytes(place, encode_json(value))


def read_manifest(folder: Path) -> dict[str, FileEntry]:
    """The files that belong to ``folder``, by name.

    Raises:
        WeightError: there is no manifest, or a newer version wrote it.
        IntegrityError: it is damaged.
    """
    path = folder / FILE_NAME
    value = read_json_object(path)
    if value.get("format") != _FORMAT or value.get("version") != _VERSION:
        raise WeightError(
            f"{path}: format {value.get('format')!r} version {value.get('version')!r} is not "
            f"{_FORMAT!r} version {_VERSION}; upgrade ArrowMind or convert the model again"
        )
    files = value.get("files")
    if not isinstance(files, dict):
        raise IntegrityError(f"{path}: has no object files; convert the model again")
    return {name: _entry(path, name, entry) for name, entry in files.items()}


def check_size(folder: Path, name: str, entry: FileEntry) -> Path:
    """Path of a file whose size is that of its entry.

    Raises:
        IntegrityError: the file is missing, or its size differs.
    """
    path = folder / name
    if not path.is_file():
        raise IntegrityError(f"{path} is missing; convert or copy the model again")
    size = path.stat().st_size
    if size != entry.bytes:
        raise IntegrityError(f"{path}: has {size} bytes, {entry.bytes} were written; copy it again")
    return path


def check_root(path: Path, root: str, entry: FileEntry) -> None:
    """Compares the root of a file's hash tree with its entry.

    Raises:
        IntegrityError: the file is another one than the manifest names, or lost its tree.
    """
    if entry.root and root != entry.root:
        found = f"the root of its hash tree is {root}" if root else "it has no hash tree"
        raise IntegrityError(
            f"{path}: {found}, {FILE_NAME} names {entry.root}: the file is not the one of this folder; "
            "copy the folder again"
        )


def check_file(
    folder: Path, name: str, entry: FileEntry, progress: Callable[[int], None] | None = None
) -> None:
    """Compares one file with its entry, byte for byte.

    Args:
        folder: the model folder.
        name: of the file, relative to it.
        entry: what the manifest says.
        progress: called with the number of bytes read since the last call.

    Raises:
        IntegrityError: the file is missing, or its size or digest differs.
    """
    path = check_size(folder, name, entry)
    found = _digest(path, progress)
    if found.sha256 != entry.sha256:
        raise IntegrityError(f"{path}: SHA-256 is {found.sha256}, {entry.sha256} was written; copy it again")


def _entry(path: Path, name: str, value: object) -> FileEntry:
    parts = Path(name).parts
    if not parts or ".." in parts or Path(name).is_absolute():
        raise IntegrityError(f"{path}: file name {name!r} leaves the folder; convert the model again")
    if isinstance(value, dict):
        size, digest, root = value.get("bytes"), value.get("sha256"), value.get("root", "")
        if isinstance(size, int) and isinstance(digest, str) and isinstance(root, str):
            return FileEntry(size, digest, root)
    raise IntegrityError(f"{path}: entry {name!r} has no bytes and sha256; convert the model again")


def _describe(path: Path) -> FileEntry:
    entry = _digest(path)
    if path.suffix != ".arrow":
        return entry
    with ArrowFile.open(path) as file:
        tree = file.hash_tree()
    return entry if tree is None else replace(entry, root=tree.root.hex())


def _digest(path: Path, progress: Callable[[int], None] | None = None) -> FileEntry:
    import hashlib  # noqa: PLC0415  loads OpenSSL, which encoding does without

    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            digest.update(piece)
            size += len(piece)
            if progress is not None:
                progress(len(piece))
    return FileEntry(size, digest.hexdigest())
