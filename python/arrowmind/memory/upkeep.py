"""What a store needs now and then: files put in order, copies, links and maps between kinds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from arrowmind.errors import InvalidArgumentError
from arrowmind.memory.keeping.backup import back_up
from arrowmind.memory.keeping.importing import Door, import_export
from arrowmind.memory.keeping.lifecycle import Lifecycle
from arrowmind.memory.keeping.transfer import export_store
from arrowmind.memory.opened import OpenedStore
from arrowmind.memory.searching.aligning import align
from arrowmind.memory.searching.recaller import Limits
from arrowmind.memory.storage import tables
from arrowmind.observe import no_progress

if TYPE_CHECKING:
    import os

    from arrowmind.memory.keeping.transfer import Exported
    from arrowmind.memory.records import CompactionReport, Record, Settlement
    from arrowmind.memory.searching.aligning import AlignmentReport
    from arrowmind.observe import Progress

__all__ = ["Upkeep"]


class Upkeep(OpenedStore):
    """Work on a whole store."""

    @property
    def lifecycle(self) -> Lifecycle:
        """Derives memories from others and moves them between tiers, for consolidation."""
        self._check_open()
        return Lifecycle(self._catalogue, self._sessions, self._intake, self._keeper)

    def compact(self) -> CompactionReport:
        """Removes every byte of what was forgotten or has expired from all files, and merges small segments.

        Other processes that still read an old file keep its bytes alive on disk until they look again.

        Raises:
            MemoryStoreError: another process works on the files, or there is no room to write.
        """
        self._check_open()
        self._watch.allow("compact")
        report = self._keeper.compact()
        self._watch.note("compact")
        return report

    def settle(self) -> Settlement:
        """Puts memories where their tiers say: cold and archived ones into compressed files.

        Cold memories keep a one-bit code and are searched by it. Texts come back bit for bit. So do vectors:
        those that the engine makes again from the texts are left out, all others (of images and sounds, given
        by callers, or of a store opened without an engine) go along. What was left out needs the engine again
        to become warm; without one it waits, and is found by its code. `compact` does the same beside its own
        work.

        Raises:
            MemoryStoreError: another process works on the files, or there is no room to write.
        """
        self._check_open()
        self._watch.allow("compact")
        return self._keeper.settle()

    def flush(self) -> None:
        """Moves what waits in the catalogue into a segment and indexes it, which also happens by itself."""
        self._check_open()
        self._keeper.flush()

    def link(self, limit: int = 1_000_000, progress: Progress = no_progress) -> int:
        """Links memories that came since the last call with what they resemble: the association graph.

        Each new memory is searched for once, so this is work for quiet hours; recall does without until then.
        What this object recalled together is linked, too.

        Args:
            limit: memories to link, at most, the oldest first.
            progress: called with (memories linked, memories to link, "links").

        Returns:
            How many were linked.

        Raises:
            MemoryStoreError: the store is damaged, or another process writes for too long.
        """
        self._check_open()
        if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
            raise InvalidArgumentError(f"limit={limit!r}: give a whole number of at least 1")
        self._watch.allow("consolidate")
        return self._recaller.link(limit, progress)

    def align(self, *, train: bool = False, progress: Progress = no_progress) -> AlignmentReport:
        """Learns from the memories that hold several kinds how these go together.

        From then on a query of one kind also finds memories that hold another kind alone. The maps are of
        closed form, take seconds and depend on the memories alone; do it again as more are remembered.

        Args:
            train: also train the fusion of `joint` (needs torch); it is used if it finds more on memories
                that are held out.
            progress: called with (steps done, all, "training").

        Raises:
            InvalidArgumentError: too few memories to train on.
            MemoryStoreError: the store cannot be written.
        """
        self._check_open()
        self._watch.allow("consolidate")
        snapshot = self._sessions.current.snapshot()
        return align(self._catalogue, self._paths, snapshot, train=train, progress=progress)

    def backup(self, target: str | os.PathLike[str], progress: Progress = no_progress) -> int:
        """Copies the store to a new folder, as it is now; it goes on being used meanwhile.

        Args:
            target: a folder that is not there yet.
            progress: called with (bytes copied, all, "bytes").

        Returns:
            Bytes of the copy.

        Raises:
            MemoryStoreError: the target is there already or cannot be written.
        """
        self._check_open()
        if self._namespace is not None:
            raise InvalidArgumentError(
                f"backup: the store was opened for {self._namespace!r} alone; open the whole, or export"
            )
        self._watch.allow("backup")
        self._watch.note("backup", sync=True)
        return back_up(self._catalogue, self._paths, Path(target), self._settings.busy_seconds, progress)

    def export(self, target: str | os.PathLike[str], progress: Progress = no_progress) -> Exported:
        """Writes all memories, vectors, images and sounds as Parquet files and blobs to a new folder.

        Args:
            target: a folder that is not there yet.
            progress: called with (memories written, all, "memories").

        Raises:
            MemoryStoreError: the target is there already or cannot be written, or a memory is damaged.
        """
        self._check_open()
        self._watch.allow("export")
        self._watch.note("export", sync=True)
        snapshot, limits = self._sessions.current.snapshot(), Limits(namespace=self._namespace)
        with self._catalogue.reading() as db:
            name = str(tables.settings(db)["store"])

        def describe(id_: int) -> Record | None:
            return self._recaller.get(id_, limits)

        where = (self._paths, Path(target))
        return export_store(
            snapshot, replace(self._whole(snapshot), archived=True), describe, *where, name, progress
        )

    def import_from(self, source: str | os.PathLike[str], progress: Progress = no_progress) -> int:
        """Takes in the memories of an export, under new ids. Cut off, it goes on where it stopped.

        Args:
            source: the folder of the export.
            progress: called with (memories on disk, all, "memories").

        Returns:
            How many came.

        Raises:
            InvalidArgumentError: the folder holds no export, or vectors that cannot be compared with the
                store's while no engine is there to make others.
            MemoryStoreError: the export is damaged, or the store cannot be written.
        """
        self._check_open()
        self._watch.allow("import")
        self._watch.note("import", sync=True)
        door = Door(self._encoders, self._open_intake, self._watch.redact)
        return import_export(Path(source), self._catalogue, door, progress)
