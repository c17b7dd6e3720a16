"""In what form files lie on the disk: as they are, or as somebody who holds a key reads them."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Protocol

from arrowmind.columnar.publication import publish
from arrowmind.columnar.reader import ArrowFile

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

__all__ = ["PLAIN", "Files", "PlainFiles"]


class Files(Protocol):
    """How files of one kind are written and read."""

    def publish(self, path: Path) -> AbstractContextManager[IO[bytes]]:
        """A file to write to, which appears whole under its name when the block ends well."""

    def open_arrow(self, path: Path) -> ArrowFile:
        """An Arrow file, validated.

        Raises:
            WeightError: it cannot be opened, or has features that are not served.
            IntegrityError: it is damaged.
        """

    def read(self, path: Path) -> bytes:
        """All that a file holds.

        Raises:
            OSError: it cannot be read.
            IntegrityError: it is damaged.
        """

    def opened(self, path: Path) -> AbstractContextManager[IO[bytes]]:
        """What a file holds, to be read from its beginning. Raises like `read`."""

    def stored_bytes(self, size: int) -> int:
        """Bytes on the disk of a file that holds so many."""


class PlainFiles:
    """Files as they are."""

    def publish(self, path: Path) -> AbstractContextManager[IO[bytes]]:
        """See :func:`publish`."""
        return publish(path)

    def open_arrow(self, path: Path) -> ArrowFile:
        """Maps the file."""
        return ArrowFile.open(path)

    def read(self, path: Path) -> bytes:
        """Reads the file."""
        return path.read_bytes()

    def opened(self, path: Path) -> AbstractContextManager[IO[bytes]]:
        """Opens the file."""
        return path.open("rb")

    def stored_bytes(self, size: int) -> int:
        """As many."""
        return size


PLAIN: Files = PlainFiles()
