"""Every state of the disk that a power cut may leave, from a record of what a process asked of the kernel.

`record` runs a program under strace and gives what it did to files below a folder. `Disk` follows that record
and makes states: what was synced is there; of the rest any part may be, in any order, torn at 512 bytes. The
names in a folder last from the fsync of the folder on, and may last before, in their order.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator
    from pathlib import Path

SECTOR = 512
_FLAGS = "openat,open,creat,close,write,pwrite64,writev,pwritev,lseek,read,fsync,fdatasync,ftruncate,rename,"
_FLAGS += (
    "renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,rmdir,link,linkat,truncate,fallocate,copy_file_range"
)
_BEGIN = re.compile(r"(\d+) +(\w+)\((.*)", re.DOTALL)
_RESUMED = re.compile(r"(\d+) +<\.\.\. (\w+) resumed>(.*)", re.DOTALL)
_STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_DESCRIPTOR = re.compile(r"(-?\d+)(?:<|\b)")


@dataclass(frozen=True)
class Call:
    """A system call that succeeded: its name, arguments as printed, strings among them, and result."""

    name: str
    arguments: str
    strings: tuple[bytes, ...]
    result: int

    @property
    def descriptor(self) -> int:
        return int(_DESCRIPTOR.match(self.arguments).group(1))


def record(command: list[str], log: Path, **options) -> list[Call]:
    """Runs a program; gives its calls in the order in which they ended, `close` where it began.

    A descriptor is free as soon as `close` begins: another thread may have it again before `close` ends.
    """
    strace = ["strace", "-f", "-xx", "-s", "100000000", "-e", f"trace={_FLAGS}", "-e", "raw=read,lseek"]
    subprocess.run([*strace, "-o", str(log), *command], check=True, **options)
    return list(calls_of(log))


def calls_of(log: Path) -> Iterator[Call]:
    begun: dict[tuple[str, str], str] = {}
    with log.open(encoding="latin-1") as lines:
        for line in lines:
            text = line.rstrip("\n")
            if text.endswith("<unfinished ...>"):
                thread, name, arguments = _BEGIN.match(text).groups()
                arguments = arguments.removesuffix("<unfinished ...>")
                begun[thread, name] = arguments
                if name == "close":
                    yield Call(name, arguments, (), 0)
                continue
            resumed, whole = _RESUMED.match(text), _BEGIN.match(text)
            if resumed:
                thread, name, rest = resumed.groups()
                if name == "close":
                    continue
                rest = begun.pop((thread, name), "") + rest
            elif whole:
                _, name, rest = whole.groups()
            else:
                continue
            arguments, _, result = rest.rpartition(" = ")
            number = re.match(r"-?(?:0x[0-9a-f]+|\d+)", result)
            if number and not result.startswith("-1"):
                strings = tuple(bytes.fromhex(s.replace("\\x", "")) for s in _STRING.findall(arguments))
                yield Call(name, arguments, strings, int(number.group(), 0))


@dataclass
class File:
    """Content that is on the disk for sure, and what was done to it since."""

    synced: bytearray = field(default_factory=bytearray)
    since: list[tuple[int, bytes | None]] = field(default_factory=list)  # (offset, data) or (length, None)
    size: int = 0

    def write(self, offset: int, data: bytes) -> None:
        self.since.append((offset, data))
        self.size = max(self.size, offset + len(data))

    def truncate(self, length: int) -> None:
        self.since.append((length, None))
        self.size = length

    def sync(self) -> None:
        for offset, data in self.since:
            _apply(self.synced, offset, data)
        self.since.clear()

    def after(self, chance: random.Random) -> bytes:
        """What a power cut may leave of it."""
        content = bytearray(self.synced)
        fate = chance.random()
        if fate < 0.2:
            return bytes(content)
        changes = list(self.since)
        if fate > 0.6:
            changes = [change for change in changes if chance.random() < 0.7]
            if chance.random() < 0.5:
                chance.shuffle(changes)
        for offset, data in changes:
            _apply(content, offset, data if data is None or fate < 0.6 else _torn(offset, data, chance))
        return bytes(content)


def _apply(content: bytearray, offset: int, data: bytes | None) -> None:
    if data is None:
        del content[offset:]
        content.extend(bytes(offset - len(content)))
        return
    content.extend(bytes(max(0, offset - len(content))))
    content[offset : offset + len(data)] = data


def _torn(offset: int, data: bytes, chance: random.Random) -> bytes:
    """The write up to some sector, or whole."""
    borders = range(SECTOR - offset % SECTOR, len(data), SECTOR)
    return data[: chance.choice(borders)] if len(borders) and chance.random() < 0.5 else data


class Disk:
    """Files and folders below a root."""

    def __init__(self, root: Path) -> None:
        self._root = str(root).encode()
        self._names: dict[bytes, File] = {}
        self._lasting: dict[bytes, File] = {}
        self._since: list[tuple[str, bytes, bytes, File | None]] = []
        self._folders = {self._root}
        self._open: dict[int, tuple[bytes, File | None, int]] = {}

    def follow(self, call: Call) -> bytes | None:
        """Takes a call into account; gives what was written to standard output by it."""
        if call.name in ("write", "pwrite64") and call.descriptor == 1:
            return call.strings[0]
        getattr(self, f"_{call.name}", self._unknown)(call)
        return None

    def _unknown(self, call: Call) -> None:
        if self._root in b" ".join(call.strings) or (
            call.name in ("writev", "pwritev", "fallocate", "copy_file_range") and self._file(call)
        ):
            raise AssertionError(
                f"the record holds a call that is not followed: {call.name}({call.arguments:.80})"
            )

    def _inside(self, path: bytes) -> bool:
        return path.startswith(self._root) and not path.endswith(b"-shm")

    def _openat(self, call: Call) -> None:
        path = call.strings[0]
        if path in self._folders:
            self._open[call.result] = (path, None, 0)
        elif self._inside(path):
            if path not in self._names:
                self._change("add", path, b"", File())
            file = self._names[path]
            if "O_TRUNC" in call.arguments:
                file.truncate(0)
            self._open[call.result] = (path, file, -1 if "O_APPEND" in call.arguments else 0)
        else:
            self._open.pop(call.result, None)

    def _close(self, call: Call) -> None:
        self._open.pop(call.descriptor, None)

    def _file(self, call: Call) -> File | None:
        return self._open.get(call.descriptor, (b"", None, 0))[1]

    def _write(self, call: Call) -> None:
        file = self._file(call)
        if file is not None:
            path, _, place = self._open[call.descriptor]
            at = file.size if place < 0 else place
            file.write(at, call.strings[0][: call.result])
            self._open[call.descriptor] = (path, file, place if place < 0 else at + call.result)

    def _pwrite64(self, call: Call) -> None:
        file = self._file(call)
        if file is not None:
            file.write(int(call.arguments.rstrip(" )").rsplit(",", 1)[1]), call.strings[0][: call.result])

    def _read(self, call: Call) -> None:
        self._move(int(call.arguments.split(",")[0], 16), lambda place: place + call.result)

    def _lseek(self, call: Call) -> None:
        self._move(int(call.arguments.split(",")[0], 16), lambda _: call.result)

    def _move(self, descriptor: int, moved) -> None:
        if descriptor in self._open:
            path, file, place = self._open[descriptor]
            self._open[descriptor] = (path, file, place if place < 0 else moved(place))

    def _ftruncate(self, call: Call) -> None:
        file = self._file(call)
        if file is not None:
            file.truncate(int(call.arguments.rstrip(" )").rsplit(",", 1)[1]))

    def _fsync(self, call: Call) -> None:
        path, file, _ = self._open.get(call.descriptor, (b"", None, 0))
        if file is not None:
            file.sync()
        elif path:
            self._sync_folder(path)

    _fdatasync = _fsync

    def _mkdir(self, call: Call) -> None:
        if self._inside(call.strings[-1]):
            self._folders.add(call.strings[-1])

    _mkdirat = _mkdir

    def _rename(self, call: Call) -> None:
        source, target = call.strings
        if source in self._names:
            self._change("move", source, target, self._names[source])
        elif source in self._folders:
            raise AssertionError("a folder was renamed")

    _renameat = _renameat2 = _rename

    def _unlink(self, call: Call) -> None:
        if call.strings[-1] in self._names:
            self._change("drop", call.strings[-1], b"", None)

    def _unlinkat(self, call: Call) -> None:
        # Given by a descriptor of the folder, as in the removal of a whole tree.
        path = call.strings[-1]
        if not path.startswith(b"/"):
            folder = self._open.get(call.descriptor, (b"", None, 0))[0]
            path = folder + b"/" + path
        if path in self._names:
            self._change("drop", path, b"", None)

    def _rmdir(self, call: Call) -> None:
        pass

    def _change(self, kind: str, path: bytes, target: bytes, file: File | None) -> None:
        self._since.append((kind, path, target, file))
        _rename_in(self._names, kind, path, target, file)

    def _sync_folder(self, folder: bytes) -> None:
        rest = []
        for change in self._since:
            if change[1].rpartition(b"/")[0] == folder:
                _rename_in(self._lasting, *change)
            else:
                rest.append(change)
        self._since = rest

    def leave(self, folder: Path, chance: random.Random) -> None:
        """Writes a state that a power cut now may leave to a new folder."""
        shutil.rmtree(folder, ignore_errors=True)
        names = dict(self._lasting)
        for change in self._since[: chance.randrange(len(self._since) + 1)]:
            _rename_in(names, *change)
        for made in sorted(self._folders):
            (folder / made[len(self._root) :].decode().lstrip("/")).mkdir(parents=True, exist_ok=True)
        for path, file in names.items():
            target = folder / path[len(self._root) :].decode().lstrip("/")
            target.write_bytes(file.after(chance))
            target.chmod(0o600)


def _rename_in(names: dict[bytes, File], kind: str, path: bytes, target: bytes, file: File | None) -> None:
    if kind == "drop":
        names.pop(path, None)
    else:
        names.pop(path, None)
        names[target or path] = file
