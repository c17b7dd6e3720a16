"""Where the parts of a store lie."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from arrowmind.errors import MemoryStoreError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["StorePaths", "size_of"]


@dataclass(frozen=True)
class StorePaths:
    """The folder of a store."""

    root: Path

    @property
    def catalogue(self) -> Path:
        """SQLite: what is true."""
        return self.root / "catalogue.sqlite"

    @property
    def segments(self) -> Path:
        """Arrow files with the bulk of the memories."""
        return self.root / "segments"

    @property
    def blobs(self) -> Path:
        """Bytes of images and sounds, one file each, named by their SHA-256."""
        return self.root / "blobs"

    @property
    def joint(self) -> Path:
        """How kinds of content go together: the joint embedding in use."""
        return self.root / "joint"

    @property
    def privacy(self) -> Path:
        """Access log, key of the store and pseudonyms."""
        return self.root / "privacy"

    @property
    def index(self) -> Path:
        """The text index, one folder per generation."""
        return self.root / "index"

    @property
    def lock(self) -> Path:
        """Held while segments or the index are written."""
        return self.root / "writer.lock"

    def make(self) -> None:
        """Makes the folder and those inside.

        Raises:
            MemoryStoreError: they cannot be made, or the folder holds something else.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            parts = (
                self.catalogue,
                self.segments,
                self.index,
                self.blobs,
                self.joint,
                self.privacy,
                self.lock,
            )
            known = {path.name for path in parts}
            foreign = {e.name for e in self.root.iterdir() if not e.name.startswith("catalogue.")}
            if not self.catalogue.exists() and not foreign <= known:
                raise MemoryStoreError(
                    f"{self.root}: holds other files and no store; choose an empty or new folder"
                )
        except OSError as error:
            raise MemoryStoreError(f"{self.root}: no store can be made here: {error.strerror}") from error
        self.make_folders()

    def make_folders(self) -> None:
        """Makes the folders inside; a copy of a store may lack those that were empty."""
        try:
            self.segments.mkdir(exist_ok=True)
            self.index.mkdir(exist_ok=True)
            self.blobs.mkdir(exist_ok=True)
        except OSError as error:
            raise MemoryStoreError(f"{self.root}: cannot be used as a store: {error.strerror}") from error


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files below a folder; what vanishes meanwhile counts as nothing."""
    with contextlib.suppress(FileNotFoundError):
        if path.is_dir():
            return sum(size_of(entry) for entry in path.iterdir())
        return path.stat().st_size
    return 0
