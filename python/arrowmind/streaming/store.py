"""All blocks of a text: parts on disk that are only added to, and a few blocks that wait to become one.

Memory does not grow with the text: parts are opened to be looked at and closed again, and of each only its
first number is known.
"""

from __future__ import annotations

import bisect
import contextlib
import dataclasses
import fcntl
import os
import re
import shutil
import tempfile
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

from arrowmind.columnar import sweep_temporary
from arrowmind.errors import InvalidArgumentError, StorageError
from arrowmind.observe import get_logger
from arrowmind.streaming.part import (
    BlockIndex,
    StoreIdentity,
    index_of,
    open_part,
    read_block,
    summaries_of,
    write_part,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from arrowmind.streaming.block import Block

__all__ = ["BlockStore", "StoreIdentity"]

_log = get_logger("arrowmind.streaming")
_PART = re.compile(r"blocks-(\d{8})\.arrow")
_PREFIX = "arrowmind-blocks-"
_LOCK = "lock"
_PART_BYTES = 8 << 20
_PART_BLOCKS = 256
_FRESH_SECONDS = 60.0
"""A temporary folder younger than this may still be on its way to its lock."""


class BlockStore:
    """Blocks by number, from 0 on in the order they came. Not for several threads at once."""

    def __init__(self, identity: StoreIdentity, folder: str | os.PathLike[str] | None = None) -> None:
        """Opens the store in `folder`, or makes one.

        Args:
            identity: What its blocks belong to.
            folder: Kept when it is closed; None makes a temporary one that is removed.

        Raises:
            StorageError: The folder cannot be used, another process has it, or its files are damaged or
                those of another model.
        """
        self.identity = identity
        self._is_temporary = folder is None
        try:
            self.folder = _temporary() if folder is None else Path(folder)
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock: IO[bytes] | None = _locked(self.folder / _LOCK)
        except OSError as error:
            raise StorageError(
                f"a store of blocks cannot be made in {folder or tempfile.gettempdir()}: "
                f"{error.strerror}; name a folder that can be written"
            ) from error
        self._starts = [0]  # number of the first block of each part, and of the next one
        self._waiting: list[Block] = []
        # What waits lies here and nowhere else: memory taken once, so that it does not come and go.
        self._payloads = np.zeros(_PART_BYTES + identity.largest_payload, np.uint8)
        self._payloads.fill(1)
        self._waiting_bytes = self.bytes = 0
        try:
            self._open_parts()
        except BaseException:
            self._unlock()
            raise

    def __len__(self) -> int:
        return self._starts[-1] + len(self._waiting)

    def append(self, block: Block) -> None:
        """Adds a block. It is on disk when its part is complete, or with `flush`.

        Raises:
            StorageError: The disk is full or cannot be written; the block waits, and `flush` may be repeated.
        """
        self._check_open()
        if self._waiting_bytes + block.payload.nbytes > len(self._payloads):
            self.flush()  # failed before
        end = self._waiting_bytes + block.payload.nbytes
        payload = self._payloads[self._waiting_bytes : end]
        payload[:] = block.payload
        self._waiting.append(dataclasses.replace(block, payload=payload))
        self._waiting_bytes = end
        self.bytes += block.payload.nbytes
        if len(self._waiting) >= _PART_BLOCKS or self._waiting_bytes >= _PART_BYTES:
            self.flush()

    def flush(self) -> None:
        """Writes what waits.

        Raises:
            StorageError: The disk is full or cannot be written; what waits goes on waiting.
        """
        if not self._waiting:
            return
        write_part(self._path(len(self._starts) - 1), self.identity, self._waiting)
        self._starts.append(self._starts[-1] + len(self._waiting))
        self._waiting, self._waiting_bytes = [], 0

    def scan(self) -> Iterator[BlockIndex]:
        """What all blocks are ranked by, part after part. Each is gone when the next is asked for.

        Raises:
            StorageError: A part is damaged or gone.
        """
        for part, first in enumerate(self._starts[:-1]):
            with open_part(self._path(part), self.identity) as batch:
                yield index_of(batch, first, self.identity)
        if self._waiting:
            codes, scales = summaries_of(self._waiting)
            tokens = np.stack([block.tokens for block in self._waiting])
            terms = np.stack([block.terms for block in self._waiting])
            yield BlockIndex(self._starts[-1], tokens, terms, codes, scales)

    def read(self, number: int) -> Block:
        """One block.

        Raises:
            InvalidArgumentError: There is no such block.
            StorageError: It is damaged.
        """
        if not 0 <= number < len(self):
            raise InvalidArgumentError(f"block {number} of {len(self)}; use 0 to {len(self) - 1}")
        if number >= self._starts[-1]:
            block = self._waiting[number - self._starts[-1]]
            return dataclasses.replace(block, payload=block.payload.copy())
        part = bisect.bisect_right(self._starts, number) - 1
        with open_part(self._path(part), self.identity) as batch:
            return read_block(batch, number - self._starts[part], self.identity)

    def close(self) -> None:
        """Writes what waits, or removes a temporary store. Closing twice does nothing.

        Raises:
            StorageError: What waits cannot be written; the store is closed all the same.
        """
        if self._lock is None:
            return
        try:
            if not self._is_temporary:
                self.flush()
        finally:
            self._waiting, self._payloads = [], np.zeros(0, np.uint8)
            if self._is_temporary:
                shutil.rmtree(self.folder, ignore_errors=True)
            self._unlock()

    def _open_parts(self) -> None:
        """Counts what is there, each part checked."""
        sweep_temporary(self.folder)
        names = sorted(entry.name for entry in self.folder.iterdir() if _PART.fullmatch(entry.name))
        for number, name in enumerate(names):
            path = self._path(number)
            if name != path.name:
                raise StorageError(f"{path} is missing; remove the store and read the text again")
            with open_part(path, self.identity) as batch:
                count = len(index_of(batch, 0, self.identity).scales)
                self.bytes += sum(map(self.identity.payload_bytes, batch.numbers("grade").tolist()))
            self._starts.append(self._starts[-1] + count)

    def _path(self, part: int) -> Path:
        return self.folder / f"blocks-{part:08d}.arrow"

    def _check_open(self) -> None:
        if self._lock is None:
            raise InvalidArgumentError(f"the store {self.folder} is closed; open it again")

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def _temporary() -> Path:
    """A new folder; those that killed processes left are removed."""
    place = Path(tempfile.gettempdir())
    for entry in place.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError, StorageError):
            status = entry.stat()
            if status.st_uid == os.getuid() and time.time() - status.st_mtime > _FRESH_SECONDS:
                _locked(entry / _LOCK).close()
                shutil.rmtree(entry)
                _log.info("blocks of a process that ended early are removed", path=str(entry))
    return Path(tempfile.mkdtemp(prefix=_PREFIX))


def _locked(path: Path) -> IO[bytes]:
    """The file at `path`, locked for this process.

    Raises:
        StorageError: Another one has it.
    """
    file = path.open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise StorageError(
            f"the store {path.parent} is in use; close the reader that has it, or name another folder"
        ) from error
    return file
