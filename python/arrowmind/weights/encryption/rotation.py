"""Encrypted folders and files are given another secret, or looked through; their text is never on a disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from arrowmind.columnar.publication import publish
from arrowmind.observe import no_progress
from arrowmind.weights.encryption.cipher import Keys
from arrowmind.weights.encryption.header import COST_LOG2, SUFFIX
from arrowmind.weights.encryption.index import Index
from arrowmind.weights.encryption.model import (
    EncryptionReport,
    Work,
    check_secret,
    open_entry,
    open_index,
    write_index,
)
from arrowmind.weights.folder import publish_folder

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from arrowmind.observe import Progress
    from arrowmind.weights.encryption.secret import Secret

__all__ = ["rotate_model", "verify_encrypted"]


def rotate_model(
    path: str | os.PathLike[str],
    output: str | os.PathLike[str],
    secret: Secret,
    new_secret: Secret,
    *,
    force: bool = False,
    progress: Progress = no_progress,
    cost_log2: int = COST_LOG2,
) -> EncryptionReport:
    """Encrypts what is encrypted anew, under another secret; the result appears whole or not at all.

    Args:
        path: encrypted file or folder; it is left as it is.
        output: file or folder to make.
        secret: what it was encrypted with.
        new_secret: what the result is encrypted with; may be of the other kind.
        force: replace `output` if it exists.
        progress: called with bytes of text.
        cost_log2: scrypt's N as a power of two, 14 to 19.

    Raises:
        ConfigurationError: the new passphrase is too short.
        IntegrityError: the secret is wrong, or anything was changed, swapped, cut off or added.
        WeightError: `path` is not encrypted, or `output` exists or overlaps it.
        StorageError: `output` cannot be written.
    """
    check_secret(new_secret, cost_log2)
    work = Work(Path(path), Path(output), force, progress)
    new = Keys.fresh(new_secret, cost_log2)
    if work.path.is_dir():
        _rotate_folder(work, secret, new)
    else:
        with publish(work.output) as target:
            work.seal(_Pieces(work.open_file(secret)), target, new)
    return work.finish("model encrypted anew")


def _rotate_folder(work: Work, secret: Secret, new: Keys) -> None:
    index, keys = open_index(work.path, secret)
    work.total = sum(entry.size for entry in index.files.values())
    fresh = Index(folders=index.folders)
    with publish_folder(work.output, force=work.force) as building:
        for name in index.folders:
            (building / name).mkdir()
        for name, entry in index.files.items():
            with (building / (name + SUFFIX)).open("xb") as target:
                pieces = _Pieces(open_entry(work.path, keys, name, entry))
                fresh.files[name] = work.seal(pieces, target, new)
        write_index(building, fresh, new)


def verify_encrypted(
    path: str | os.PathLike[str], secret: Secret, *, progress: Progress = no_progress
) -> EncryptionReport:
    """Authenticates every byte of an encrypted folder or file; nothing is written.

    Hashes of what is inside are not compared on top.

    Args:
        path: encrypted file or folder.
        secret: what it was encrypted with.
        progress: called with bytes of text.

    Raises:
        IntegrityError: the secret is wrong, or anything was changed, swapped, cut off or added.
        WeightError: `path` is not encrypted.
    """
    work = Work(Path(path), None, force=False, progress=progress)
    if work.path.is_dir():
        index, keys = open_index(work.path, secret)
        work.total = sum(entry.size for entry in index.files.values())
        for name, entry in index.files.items():
            work.count(open_entry(work.path, keys, name, entry))
    else:
        work.count(work.open_file(secret))
    return work.finish("encrypted model verified")


class _Pieces:
    """Pieces, read like a file."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._held = pieces, b""

    def read(self, size: int, /) -> bytes:
        while len(self._held) < size and (piece := next(self._pieces, b"")):
            self._held += piece
        taken, self._held = self._held[:size], self._held[size:]
        return taken
