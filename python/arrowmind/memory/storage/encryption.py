"""Which of the files in a folder belong to a store as it is encrypted now, and the end of a change of that.

A change writes everything anew under other names beside what there is, the catalogue last and with the ending
`.part`. It is made true by one step: the file of the key appears, is replaced, or gets another name. Whoever
comes next finishes what a killed process left: before that step, what is new goes; after it, what is old.
"""

from __future__ import annotations

import os
import re
import shutil
from typing import TYPE_CHECKING

from arrowmind.columnar import sweep_temporary, sync_folder
from arrowmind.errors import MemoryStoreError
from arrowmind.memory.steps import reached
from arrowmind.observe import get_logger
from arrowmind.weights.encryption.header import MAGIC

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from arrowmind.memory.storage.paths import StorePaths

__all__ = ["catalogue_part", "finish_change", "holds_another", "holds_store", "is_changing", "lacks_key"]

_log = get_logger(__name__)
_PART = ".part"
_SEALED = re.compile(r"catalogue\.[0-9a-f]{16}\.encrypted")
_ANY = re.compile(r"catalogue\.(sqlite|[0-9a-f]{16}\.encrypted)(\.part)?")
_STORE_KEY = re.compile(r"store\.([0-9a-f]{16}\.)?key")
_SIDES = ("-wal", "-shm", "-journal")


def catalogue_part(paths: StorePaths) -> Path:
    """The catalogue on its way."""
    return paths.catalogue.with_name(f"{paths.catalogue.name}{_PART}")


def holds_store(root: Path) -> bool:
    """Whether a folder holds a memory store, encrypted or not."""
    return bool(_catalogues(root))


def holds_another(paths: StorePaths) -> bool:
    """Whether a folder holds a store that is encrypted otherwise than these paths say, and only that one."""
    # Others are listed first: a catalogue of ours that appears meanwhile does not count against itself.
    others = [name for name in _catalogues(paths.root) if name != paths.catalogue.name]
    return bool(others) and not paths.catalogue.exists()


def is_changing(paths: StorePaths) -> bool:
    """Whether a change of encryption is on its way, or was cut off."""
    found = _catalogues(paths.root)
    is_foreign = paths.key.exists() and "catalogue.sqlite" in found
    is_on_its_way = any(name.endswith(_PART) for name in found)
    return is_foreign or is_on_its_way or len(found) > 1 or paths.removed_key.exists()


def lacks_key(paths: StorePaths) -> bool:
    """Whether there is an encrypted catalogue, and the file of its key is gone."""
    # The key is there before such a catalogue is, and goes before it: looking twice sees neither come or go.
    if not _has_sealed(paths.root) or paths.key.exists() or paths.removed_key.exists():
        return False
    return _has_sealed(paths.root)


def _has_sealed(root: Path) -> bool:
    return any(_SEALED.fullmatch(name) for name in _catalogues(root))


def _catalogues(root: Path) -> list[str]:
    try:
        return [entry.name for entry in os.scandir(root) if _ANY.fullmatch(entry.name)]
    except (FileNotFoundError, NotADirectoryError):
        return []


def finish_change(paths: StorePaths) -> None:
    """Leaves the files of the store as it is encrypted now, and no others. Needs the lock of the store.

    Raises:
        MemoryStoreError: a file cannot be renamed or removed, or the catalogue is gone; then nothing is.
    """
    try:
        _finish(paths)
    except OSError as error:
        raise MemoryStoreError(
            f"{paths.root}: a change of its encryption cannot be finished ({error}); is it a folder you may "
            "write to?"
        ) from error


def _finish(paths: StorePaths) -> None:
    part = catalogue_part(paths)
    if not paths.catalogue.exists() and part.exists():
        part.rename(paths.catalogue)
        sync_folder(paths.root)
        reached("encryption.renamed")
    if not paths.catalogue.exists():
        raise MemoryStoreError(
            f"{paths.catalogue}: is gone, and another catalogue is there; restore the folder from a backup"
        )
    removed = 0
    for path in _foreign(paths):
        path.unlink(missing_ok=True)
        removed += 1
        reached("encryption.file_removed")
    if paths.cipher is not None and paths.index.is_dir():
        for entry in paths.index.iterdir():
            shutil.rmtree(entry, ignore_errors=True)
    for folder in (paths.segments, paths.blobs, paths.joint, paths.privacy):
        if folder.is_dir():
            sync_folder(folder)
    # These tell that something is left to do, so they go last.
    for name in _catalogues(paths.root):
        if name != paths.catalogue.name:
            for side in (*_SIDES, ""):
                (paths.root / f"{name}{side}").unlink(missing_ok=True)
            reached("encryption.catalogue_removed")
    sync_folder(paths.root)
    paths.removed_key.unlink(missing_ok=True)
    sync_folder(paths.root)
    is_encrypted = paths.cipher is not None
    _log.info("encryption_settled", store=str(paths.root), encrypted=is_encrypted, removed=removed)


def _foreign(paths: StorePaths) -> Iterator[Path]:
    """Files of another form, or of another key, than that of the store."""
    for folder in (paths.segments, paths.blobs, paths.joint):
        if folder.is_dir():
            sweep_temporary(folder)
            for path in list(folder.iterdir()):
                if not path.name.startswith(".") and path.is_file() and not _is_ours(paths, path):
                    yield path
    for path in paths.root.glob("consolidation.*"):
        if path != paths.consolidation_lock and not path.name.startswith(paths.journal.name):
            yield path
    if paths.privacy.is_dir():
        sweep_temporary(paths.privacy)
        ours = "store.key" if paths.cipher is None else f"store.{paths.cipher.mark}.key"
        for path in list(paths.privacy.iterdir()):
            if _STORE_KEY.fullmatch(path.name) and path.name != ours:
                yield path


def _is_ours(paths: StorePaths, path: Path) -> bool:
    if paths.cipher is not None:
        return paths.cipher.owns(path)
    with path.open("rb") as file:
        return file.read(len(MAGIC)) != MAGIC
