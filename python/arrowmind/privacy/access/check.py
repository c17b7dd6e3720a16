"""A log is read and checked, line by line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arrowmind.errors import MemoryStoreError, StorageError
from arrowmind.privacy.access.entry import MAX_LINE_BYTES, START, Head, chained, parse_line
from arrowmind.privacy.access.files import log_files, number_of

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

__all__ = ["LogReport", "read_log", "verify_log"]

_MAX_PROBLEMS = 100


@dataclass(frozen=True)
class LogReport:
    """What a check of a log found.

    Attributes:
        files: how many there are.
        entries: lines that were read.
        first: number of the first entry there is: above 1 when old files were removed.
        head: the end of the log.
        problems: what does not fit, up to 100.
        torn_bytes: an unfinished entry at the end: a writer was killed, or is writing.
        repairs: unfinished entries that later writers removed.
    """

    files: int
    entries: int
    first: int
    head: Head
    problems: tuple[str, ...] = ()
    torn_bytes: int = 0
    repairs: int = 0

    @property
    def ok(self) -> bool:
        """Whether nothing was changed, as far as the chain shows."""
        return not self.problems


def verify_log(folder: str | os.PathLike[str], anchors: Sequence[Head] = ()) -> LogReport:
    """Follows the chain from the first line to the last.

    Args:
        folder: of the log.
        anchors: heads that were kept elsewhere, such as those of receipts: they must lie on the chain.

    Raises:
        MemoryStoreError: there is no log.
        StorageError: a file cannot be read.
    """
    check = _Check({head.number: head.hash for head in anchors})
    files = log_files(Path(folder))
    if not files:
        raise MemoryStoreError(f"{folder}: holds no access log; name the folder with its files")
    for path, before in zip(files, [None, *files], strict=False):
        if before is not None and number_of(path) != number_of(before) + 1:
            check.complain(path, 0, f"files are missing between {before.name} and this one")
        check.read(path, is_last=path == files[-1])
    return check.report(len(files))


def read_log(folder: str | os.PathLike[str]) -> Iterator[dict[str, Any]]:
    """The entries of a log, oldest first, unchecked.

    Raises:
        StorageError: a file cannot be read.
    """
    for path in log_files(Path(folder)):
        for line in _lines(path):
            parsed = parse_line(line)
            if parsed is not None:
                yield parsed[2]


class _Check:
    """The state of the chain while it is followed."""

    def __init__(self, anchors: dict[int, str]) -> None:
        self.anchors = anchors
        self.head: Head | None = None
        self.first = self.entries = self.repairs = self.torn = 0
        self.problems: list[str] = []

    def read(self, path: Path, *, is_last: bool) -> None:
        for number, line in enumerate(_lines(path), 1):
            parsed = parse_line(line)
            if parsed is not None:
                self._follow(path, number, *parsed)
            elif is_last and not line.endswith(b"\n") and len(line) < MAX_LINE_BYTES:
                self.torn = len(line)
            else:
                self.complain(path, number, "is no entry")

    def _follow(self, path: Path, number: int, digest: str, text: bytes, values: dict[str, Any]) -> None:
        if number == 1:
            self._start(path, values)
        elif values.get("action") == START:
            self.complain(path, number, "begins a file in the midst of one")
        before = self.head or Head()
        if values["n"] != before.number + 1:
            self.complain(
                path, number, f"has number {values['n']} after {before.number}: entries are missing"
            )
        if chained(before.hash, text) != digest:
            self.complain(path, number, "was changed, or entries before it were removed or added")
        self.head = Head(values["n"], digest)
        self.entries += 1
        self.repairs += values.get("action") == "log.repair"
        if self.anchors.pop(values["n"], digest) != digest:
            self.complain(path, number, f"is not entry {values['n']} as it was kept elsewhere")

    def _start(self, path: Path, values: dict[str, Any]) -> None:
        if values.get("action") != START:
            self.complain(path, 1, "the beginning of the file is missing")
        if self.head is None:  # older files may have been removed, as far as the settings say
            self.first = values["n"]
            if self.first != 1:
                self.head = Head(self.first - 1, str(values.get("prev", "")))

    def complain(self, path: Path, number: int, what: str) -> None:
        if len(self.problems) < _MAX_PROBLEMS:
            self.problems.append(f"{path.name}, line {number}: {what}" if number else f"{path.name}: {what}")

    def report(self, files: int) -> LogReport:
        head = self.head or Head()
        for number in sorted(self.anchors):
            if number > head.number:
                message = f"entry {number} is missing: the log ends at {head.number}, its end was cut off"
                self.problems.append(message)
        problems = tuple(self.problems[:_MAX_PROBLEMS])
        return LogReport(files, self.entries, self.first, head, problems, self.torn, self.repairs)


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while line := file.readline(MAX_LINE_BYTES):
                yield line
    except OSError as error:
        raise StorageError(f"{path}: cannot be read ({error.strerror})") from error
