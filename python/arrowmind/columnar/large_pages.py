"""Writes that end where large pages do, so that the system's cache holds a new file in them.

Linux keeps what a program writes in pages as large as the writes are, up to 2 MB, where the file system can
(xfs, btrfs, ext4 from 6.16 on). Who maps the file then asks its TLB for one entry where there would be 512:
a token of INT2 weights of a file just written takes 2.7 % less time (docs/design/0004-grids.md). A file that
is read from the disk comes in large pages by itself.
"""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["LARGE_PAGE", "LargePages"]

LARGE_PAGE = 2 << 20


class LargePages:
    """Hands bytes on to a file, gathered until they reach the end of a large page.

    What was written last waits here for :meth:`flush`.
    """

    def __init__(self, file: IO[bytes]) -> None:
        """Begins where ``file`` is, which counts as the start of a large page."""
        self._file = file
        self._position = 0  # of what comes next, that which waits included
        self._waiting = bytearray()

    def write(self, data: NDArray[np.uint8]) -> None:
        """Takes bytes: whole large pages go to the file, the rest waits."""
        room = LARGE_PAGE - self._position % LARGE_PAGE
        self._position += data.size
        if data.size < room:
            self._waiting += data.data
            return
        if self._waiting:
            self._waiting += data[:room].data
            self.flush()
            data = data[room:]
        whole = data.size - self._position % LARGE_PAGE
        if whole > 0:
            self._file.write(data[:whole].data)
        self._waiting += data[whole:].data

    def flush(self) -> None:
        """Hands on what waits."""
        self._file.write(self._waiting)
        self._waiting = bytearray()
