"""Where the parts of a store lie."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from arrowmind.columnar.files import PLAIN
from arrowmind.errors import MemoryStoreError

if TYPE_CHECKING:
    from pathlib import Path

    from arrowmind.columnar.files import Files
    from arrowmind.privacy.sealed.cipher import StoreCipher

__all__ = ["StorePaths", "size_of"]


@dataclass(frozen=True)
class StorePaths:
    """The folder of a store.

    Attributes:
        root: the folder.
        cipher: keys of what is in it; None for a store that is not encrypted.
    """

    root: Path
    cipher: StoreCipher | None = None

    @property
    def catalogue(self) -> Path:
        """SQLite: what is true."""
        return self.root / self._named("catalogue")

    @property
    def journal(self) -> Path:
        """SQLite: how far a consolidation has come."""
        return self.root / self._named("consolidation")

    @property
    def consolidation_lock(self) -> Path:
        """Held by the one process that consolidates."""
        return self.root / "consolidation.lock"

    @property
    def recalls(self) -> Path:
        """Held, with others, by every process that recalls; empty."""
        return self.root / "recalls.lock"

    def _named(self, database: str) -> str:
        return f"{database}.sqlite" if self.cipher is None else f"{database}.{self.cipher.mark}.encrypted"

    @property
    def database_key(self) -> str | None:
        """Of the catalogue and the journal."""
        return None if self.cipher is None else self.cipher.database_key

    @property
    def key(self) -> Path:
        """The key of an encrypted store, sealed with the secret of its owner. With this file it is one."""
        return self.root / "encryption.key"

    @property
    def removed_key(self) -> Path:
        """What the key becomes in the moment in which a store is decrypted, until the rest is done."""
        return self.root / "encryption.removed"

    @property
    def files(self) -> Files:
        """How segments, blobs and maps are written and read."""
        return PLAIN if self.cipher is None else self.cipher.files

    @property
    def segments(self) -> Path:
        """Arrow files with the bulk of the memories."""
        return self.root / "segments"

    @property
    def blobs(self) -> Path:
        """Bytes of images and sounds, one file each, named by their SHA-256."""
        return self.root / "blobs"

    def blob(self, sha256: str) -> Path:
        """The file of a blob."""
        return self.blobs / (sha256 if self.cipher is None else self.cipher.blob_name(sha256))

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
        """The text index, one folder per generation; empty if the store is encrypted."""
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
        if self.root.exists() and not self.root.is_dir():
            raise MemoryStoreError(
                f"{self.root}: no store can be made here: it is a file; choose another name"
            )
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
                self.key,
            )
            known = {path.name for path in parts}
            ours = ("catalogue.", f".{self.key.name}.")
            foreign = {e.name for e in self.root.iterdir() if not e.name.startswith(ours)}
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
