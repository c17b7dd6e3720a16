"""Native weight files mapped privately: what is written there reaches neither the file nor another reader.

Torch has no tensors that are read-only, and a write into memory mapped for reading alone ends the process. Of
a private mapping the system copies each page that is written to, for this process alone.
"""

from __future__ import annotations

import mmap
import os
import sys
from typing import TYPE_CHECKING

from arrowmind.errors import WeightError
from arrowmind.weights import WeightFile

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["open_private"]

_ATTEMPTS = 16
_PROTECTION = mmap.PROT_READ | mmap.PROT_WRITE
# A model larger than the memory can be mapped as long as it is not written to.
_FLAGS = mmap.MAP_PRIVATE | getattr(mmap, "MAP_NORESERVE", 0x4000 if sys.platform == "linux" else 0)


def open_private(path: Path) -> tuple[WeightFile, mmap.mmap]:
    """A checked weight file, and a private mapping of the same file.

    Raises:
        WeightError: the file is missing or no weight file, or is replaced again and again meanwhile.
        IntegrityError: it is damaged.
    """
    for _ in range(_ATTEMPTS):
        try:
            # Not blocking: opening a FIFO must fail in the reader, not wait for a writer.
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise WeightError(f"{path}: cannot be opened ({error.strerror})") from error
        try:
            weights = WeightFile.open(path)
            # Files are replaced, never changed: if the path leads to `descriptor` still, it did in between.
            if _is_at(path, descriptor):
                return weights, mmap.mmap(descriptor, weights.size, flags=_FLAGS, prot=_PROTECTION)
        except (OSError, ValueError) as error:
            raise WeightError(f"{path}: cannot be mapped ({error}); check ulimit -v") from error
        finally:
            os.close(descriptor)
    raise WeightError(f"{path}: was replaced {_ATTEMPTS} times while it was opened; stop what writes it")


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
