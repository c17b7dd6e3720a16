"""Is a model folder what was written? Every byte is read."""

from __future__ import annotations

import functools
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arrowmind.errors import WeightError
from arrowmind.observe import no_progress
from arrowmind.weights import schema
from arrowmind.weights.encryption.header import INDEX_NAME
from arrowmind.weights.file import WeightFile
from arrowmind.weights.manifest import FILE_NAME, FileEntry, check_file, check_root, check_size, read_manifest

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from arrowmind.observe import Progress

__all__ = ["VerifyReport", "verify_model"]


@dataclass
class VerifyReport:
    """What :func:`verify_model` found.

    Attributes:
        path: the folder or file.
        files: files compared with the manifest.
        tensors: tensors whose checksums were compared.
        bytes: bytes read.
        seconds: time it took.
        problems: one sentence for each thing that is wrong; empty when all is well.
        notes: what could not be checked, and why.
    """

    path: str
    files: int = 0
    tensors: int = 0
    bytes: int = 0
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "ok": self.ok}


def verify_model(path: str | os.PathLike[str], progress: Progress = no_progress) -> VerifyReport:
    """Checks a model folder (or one weights.arrow): every byte against its hash tree, else its SHA-256.

    A weights.arrow with a hash tree is hashed once, by chunks; then its checksums and sums are compared, too.
    Problems are collected, not raised.

    Args:
        path: the folder or file.
        progress: called with bytes read.

    Raises:
        WeightError: there is nothing at ``path``, or it is encrypted.
    """
    place, started = Path(path), time.perf_counter()
    if not place.exists():
        raise WeightError(f"{place} does not exist; give a model folder or a weights.arrow file")
    if (place / INDEX_NAME).exists():
        raise WeightError(
            f"{place} is encrypted; `verify_encrypted` or `arrowmind decrypt {place} OUT` checks all of it"
        )
    report = VerifyReport(str(place))
    work = _Work(report, progress)
    if place.is_dir():
        work.check_folder(place)
    else:
        work.total = place.stat().st_size
        work.attempt(place.name, lambda advance: work.check_native(place, None, advance))
    report.seconds = time.perf_counter() - started
    return report


class _Work:
    """One call: what was found so far, and how far it is."""

    def __init__(self, report: VerifyReport, progress: Progress) -> None:
        self.report, self._progress, self.total = report, progress, 0

    def attempt(self, name: str, check: Callable[[Callable[[int], None]], None]) -> None:
        """Runs one check; what it raises becomes a problem of the report."""

        def advance(count: int) -> None:
            self.report.bytes += count
            self._progress(self.report.bytes, self.total, name)

        try:
            check(advance)
        except WeightError as error:
            self.report.problems.append(str(error))

    def check_folder(self, folder: Path) -> None:
        entries: dict[str, FileEntry] = {}
        self.attempt(FILE_NAME, lambda _: entries.update(read_manifest(folder)))
        self.total = sum(entry.bytes for entry in entries.values())
        for name, entry in entries.items():
            self.attempt(name, functools.partial(self._check_entry, folder, name, entry))
        native = folder / schema.FILE_NAME
        if native.exists() and schema.FILE_NAME not in entries:
            self.attempt(native.name, lambda advance: self.check_native(native, None, advance))
        found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
        strangers = sorted(found - {FILE_NAME, *entries}) if entries else []
        self.report.notes.extend(f"{name} is not in the manifest" for name in strangers)

    def _check_entry(self, folder: Path, name: str, entry: FileEntry, advance: Callable[[int], None]) -> None:
        if not entry.root:
            check_file(folder, name, entry, advance)
            advance = _ignore
        if name == schema.FILE_NAME:
            self.check_native(check_size(folder, name, entry), entry, advance)
        self.report.files += 1

    def check_native(self, path: Path, entry: FileEntry | None, advance: Callable[[int], None]) -> None:
        with WeightFile.open(path) as weights:
            if entry is not None:
                check_root(path, weights.root, entry)
            elif not weights.root:
                self.report.notes.append(f"{path.name} has no hash tree: checksums of its buffers only")
            weights.verify(advance)
            self.report.tensors = len(weights.names())


def _ignore(_count: int) -> None:
    pass
