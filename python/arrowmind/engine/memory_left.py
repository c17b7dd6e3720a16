"""How much memory is left for this process: of its control groups (version 1 and 2), and of the machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from arrowmind.engine.pressure import Figures
from arrowmind.engine.residence import process_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MemoryLeft"]

_UNLIMITED = 1 << 60


class MemoryLeft:
    """Reads the figures anew with each call. Where a file is missing, what the others say counts."""

    def __init__(self, root: Path = Path("/")) -> None:
        """Looks below `root`; another one than / is for tests."""
        self._proc, self._groups = root / "proc", root / "sys" / "fs" / "cgroup"

    def __call__(self) -> Figures | None:
        """The tightest of all limits; None where nothing can be read."""
        found = [limit for limit in (self._machine(), *self._limits()) if limit is not None]
        if not found:
            return None
        available, total = min(found)
        return Figures(available, total, self._stalled(), process_bytes())

    def _machine(self) -> tuple[int, int] | None:
        found = {}
        for line in _lines(self._proc / "meminfo"):
            name, _, rest = line.partition(":")
            if name in ("MemAvailable", "MemTotal"):
                found[name] = int(rest.split()[0]) << 10
        return (found["MemAvailable"], found["MemTotal"]) if len(found) == 2 else None

    def _limits(self) -> Iterator[tuple[int, int] | None]:
        for line in _lines(self._proc / "self" / "cgroup"):
            number, _, rest = line.partition(":")
            kinds, _, place = rest.partition(":")
            if number == "0" and not kinds:
                files = ("memory.max", "memory.current", "inactive_file")
                yield from self._upwards(self._groups, place, files)
            elif "memory" in kinds.split(","):
                files = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
                yield from self._upwards(self._groups / "memory", place, files)

    def _upwards(
        self, mount: Path, place: str, files: tuple[str, str, str]
    ) -> Iterator[tuple[int, int] | None]:
        """Of a group and those around it. Within a container the place may be one of the outside."""
        group = mount / place.lstrip("/")
        while group != mount and mount in group.parents:
            yield _left(group, *files)
            group = group.parent
        yield _left(mount, *files)

    def _stalled(self) -> float:
        """Percent of the last ten seconds in which some task waited for memory; 0 where it is not told."""
        for line in _lines(self._proc / "pressure" / "memory"):
            for word in line.split():
                if line.startswith("some") and word.startswith("avg10="):
                    return float(word.partition("=")[2])
        return 0.0


def _left(group: Path, limit: str, usage: str, cached: str) -> tuple[int, int] | None:
    """What a group may still take, file pages that can be dropped included, and its limit."""
    most, used = _number(group / limit), _number(group / usage)
    if most is None or used is None or most >= _UNLIMITED:
        return None
    stat = dict(line.split(" ", 1) for line in _lines(group / "memory.stat") if " " in line)
    return max(0, most - used + int(stat.get(cached, 0))), most


def _number(path: Path) -> int | None:
    lines = _lines(path)
    return int(lines[0]) if lines and lines[0].isdecimal() else None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return []
