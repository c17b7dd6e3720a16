"""Model folders that appear whole or not at all.

A folder is built beside its final place under a temporary name, synced, and renamed. While it is built its
maker holds a lock on it, so that the next maker can tell a folder that a killed process left (no lock:
removed) from one that is still being built. The few steps that change names happen under a lock on the
parent.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import secrets
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from arrowmind.errors import StorageError, WeightError
from arrowmind.observe import get_logger

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["publish_folder"]

_log = get_logger("arrowmind.weights")
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextlib.contextmanager
def publish_folder(path: str | os.PathLike[str], *, force: bool = False) -> Iterator[Path]:
    """Gives a folder to fill; when the block ends well it becomes ``path``, else nothing is left of it.

    Args:
        path: the folder to make.
        force: take the place of a folder that exists; else that is an error, found before any work is done
            and once more at the end, when another process may have been faster.

    Yields:
        The folder to fill, beside ``path``.

    Raises:
        WeightError: ``path`` exists and ``force`` is false.
        StorageError: there is no room, or the parent cannot be written.
    """
    target = Path(os.path.abspath(path))  # noqa: PTH100  (keeps symbolic links)
    with _explained(target), contextlib.ExitStack() as stack:
        target.parent.mkdir(parents=True, exist_ok=True)
        _refuse(target, force=force)
        building = stack.enter_context(_open_locked(target))
        try:
            yield building
            _sync_tree(building)
            _replace(building, target, force=force)
        except BaseException:
            shutil.rmtree(building, ignore_errors=True)
            raise


@contextlib.contextmanager
def _explained(target: Path) -> Iterator[None]:
    """Turns what the disk says about the folder into our words; other errors pass unchanged."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            free = shutil.disk_usage(target.parent).free
            raise StorageError(
                f"{target}: no room for it ({error.strerror}); nothing is left of it, {free} bytes are free "
                f"in {target.parent}: free some space or choose another folder"
            ) from error
        if error.filename is not None and _is_near(Path(os.fsdecode(error.filename)), target):
            raise StorageError(
                f"{target}: cannot be made ({error.strerror}); is {target.parent} a folder you may write to?"
            ) from error
        raise


def _is_near(path: Path, target: Path) -> bool:
    own = f".{target.name}."
    return path == target or target.is_relative_to(path) or any(part.startswith(own) for part in path.parts)


def _refuse(target: Path, *, force: bool) -> None:
    if target.exists() and not (force and target.is_dir()):
        raise WeightError(f"{target} exists; choose another name, remove it, or pass force to replace it")


@contextlib.contextmanager
def _open_locked(target: Path) -> Iterator[Path]:
    """A new temporary folder, locked until the block ends."""
    with _lock(target.parent):
        _sweep(target)
        building = target.with_name(f".{target.name}.{secrets.token_hex(8)}.building")
        building.mkdir()
        descriptor = os.open(building, os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield building
    finally:
        os.close(descriptor)


def _replace(building: Path, target: Path, *, force: bool) -> None:
    with _lock(target.parent):
        _refuse(target, force=force)
        old = target.with_name(f".{target.name}.{secrets.token_hex(8)}.replaced")
        replaced = target.exists()
        if replaced:
            target.rename(old)
        try:
            building.rename(target)
        except OSError:
            if replaced:
                old.rename(target)
            raise
        _sync(target.parent)
        if replaced:
            shutil.rmtree(old, ignore_errors=True)


def _sweep(target: Path) -> None:
    for left in _siblings(target, "replaced"):
        if target.exists():
            shutil.rmtree(left, ignore_errors=True)
        else:  # killed between the two renames: what was there comes back
            left.rename(target)
            _log.warning("a replacement was cut short; the former folder is back", path=str(target))
    for left in _siblings(target, "building"):
        if _is_abandoned(left):
            shutil.rmtree(left, ignore_errors=True)
            _log.info("removed what a killed process left", path=str(left))


def _siblings(target: Path, kind: str) -> list[Path]:
    pattern = re.compile(rf"\.{re.escape(target.name)}\.[0-9a-f]{{16}}\.{kind}")
    return sorted(entry for entry in target.parent.iterdir() if pattern.fullmatch(entry.name))


def _is_abandoned(folder: Path) -> bool:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _sync_tree(folder: Path) -> None:
    for entry in folder.rglob("*"):
        _sync(entry)
    _sync(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
