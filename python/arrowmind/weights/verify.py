"""Is a model folder what was written? Every byte is read."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arrowmind.errors import WeightError
from arrowmind.observe import no_progress
from arrowmind.weights import manifest, schema
from arrowmind.weights.encryption.header import INDEX_NAME
from arrowmind.weights.file import WeightFile

if TYPE_CHECKING:
    import os

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
    """Checks a model folder (or one weights.arrow): SHA-256 of every file, checksums of tensors.

    Problems are collected, not raised.

    Args:
        path: the folder or file.
        progress: called with bytes read.

    Raises:
        WeightError: there is nothing at ``path``.
    """
    place, started = Path(path), time.perf_counter()
    if not place.exists():
        raise WeightError(f"{place} does not exist; give a model folder or a weights.arrow file")
    if (place / INDEX_NAME).exists():
        raise WeightError(f"{place} is encrypted; `arrowmind decrypt {place} OUT` checks every byte of it")
    report = VerifyReport(str(place))
    if place.is_dir():
        _check_files(place, report, progress)
        native = place / schema.FILE_NAME
        if native.exists():
            _check_tensors(native, report)
    else:
        report.notes.append("a single file: no SHA-256 to compare with, checksums of its buffers only")
        _check_tensors(place, report)
        report.bytes = place.stat().st_size
    report.seconds = time.perf_counter() - started
    return report


def _check_files(folder: Path, report: VerifyReport, progress: Progress) -> None:
    try:
        entries = manifest.read_manifest(folder)
    except WeightError as error:
        report.problems.append(str(error))
        return
    total = sum(entry.bytes for entry in entries.values())
    for name, entry in entries.items():

        def advance(count: int, name: str = name) -> None:
            report.bytes += count
            progress(report.bytes, total, name)

        try:
            manifest.check_file(folder, name, entry, advance)
            report.files += 1
        except WeightError as error:
            report.problems.append(str(error))
    known = {manifest.FILE_NAME, *entries}
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    report.notes.extend(f"{name} is not in the manifest" for name in sorted(found - known))


def _check_tensors(path: Path, report: VerifyReport) -> None:
    try:
        with WeightFile.open(path) as weights:
            weights.verify()
            report.tensors = len(weights.names())
    except WeightError as error:
        report.problems.append(str(error))
