"""Every byte of every file of a folder is looked through for texts and vectors that were forgotten."""

from __future__ import annotations

import base64
import json
import os
import stat
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from arrowmind.columnar import row_blocks
from arrowmind.errors import InvalidArgumentError, StorageError, WeightError
from arrowmind.privacy.needles import MIN_BYTES, Sieve, pieces_of
from arrowmind.privacy.zstd_frames import MAGIC, Slice, frame_length

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from arrowmind.privacy.sealed.cipher import StoreCipher

__all__ = ["Place", "ScanReport", "find_bytes", "find_bytes_apart"]

_CHUNK_BYTES = 4 << 20
_MAX_FRAME_BYTES = 1 << 30


@dataclass(frozen=True)
class Place:
    """Where something was found.

    Attributes:
        file: its path inside the folder.
        offset: in bytes from its beginning; of what was unpacked, the beginning of the frame.
        needle: index of what was looked for.
    """

    file: str
    offset: int
    needle: int


@dataclass(frozen=True)
class ScanReport:
    """What was looked through.

    Attributes:
        files: how many.
        bytes: in all of them, and in what was unpacked.
        places: of each needle in each file where it was found, one.
        short: indexes of needles too short to be looked for.
    """

    files: int
    bytes: int
    places: tuple[Place, ...]
    short: tuple[int, ...]


def find_bytes(
    folder: str | os.PathLike[str], needles: Sequence[bytes], cipher: StoreCipher | None = None
) -> ScanReport:
    """Looks for needles in every regular file below a folder, and in what is packed inside them.

    That is frames of zstd, and blocks of cold memories (docs/formats/cold-blocks.md).

    Of a needle above 128 bytes, pieces of 64 are looked for, since databases cut values into pages. Do not
    call it in a process that has a store in the folder open: that would lose its locks (`find_bytes_apart`).

    Args:
        folder: links in it are not followed; sockets and the like are passed over.
        needles: texts as `text_forms` gives them, vectors as bytes; those below 12 bytes are not looked for.
        cipher: of an encrypted store: what its files hold is looked through beside the files themselves.

    Raises:
        InvalidArgumentError: `folder` is none.
        StorageError: a file cannot be read.
    """
    root = Path(folder)
    if not root.is_dir():
        raise InvalidArgumentError(f"{folder}: is no folder; name the one to look through")
    owners: dict[bytes, int] = {}
    for index, needle in enumerate(needles):
        for piece in pieces_of(needle):
            owners.setdefault(piece, index)
    scan = _Scan(root, list(owners), list(owners.values()), cipher)
    for path in sorted(_files(root)):
        scan.read_file(path)
    short = tuple(index for index, needle in enumerate(needles) if len(needle) < MIN_BYTES)
    return ScanReport(scan.files, scan.bytes, tuple(scan.places), short)


def find_bytes_apart(
    folder: str | os.PathLike[str], needles: Sequence[bytes], cipher: StoreCipher | None = None
) -> ScanReport:
    """`find_bytes` in a process of its own, for a process that has the store open.

    SQLite's locks are those of the process: they are lost when any descriptor of the file is closed.

    Raises:
        InvalidArgumentError: `folder` is none.
        StorageError: a file cannot be read, or the process did not end well.
    """
    if not Path(folder).is_dir():
        raise InvalidArgumentError(f"{folder}: is no folder; name the one to look through")
    request = {"folder": os.fspath(folder), "needles": [base64.b64encode(n).decode() for n in needles]}
    if cipher is not None:
        request["key"] = cipher.key.hex()  # through a pipe, which nobody else reads
    paths = os.pathsep.join(path or os.curdir for path in sys.path)
    done = subprocess.run(
        [sys.executable, "-m", "arrowmind.privacy.scanning"],
        input=json.dumps(request).encode(),
        capture_output=True,
        env={**os.environ, "PYTHONPATH": paths},
        check=False,
    )
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise StorageError(f"{folder}: could not be looked through: {lines[-1]}")
    answer = json.loads(done.stdout)
    places = tuple(Place(**place) for place in answer["places"])
    return ScanReport(answer["files"], answer["bytes"], places, tuple(answer["short"]))


class _Scan:
    """What was found so far."""

    def __init__(
        self, root: Path, pieces: list[bytes], owners: list[int], cipher: StoreCipher | None
    ) -> None:
        self._root, self._owners, self._cipher = root, owners, cipher
        self._sieve, self._frames = Sieve(pieces), Sieve([MAGIC, row_blocks.MAGIC])
        self._noted: set[tuple[str, int]] = set()
        self.files = self.bytes = 0
        self.places: list[Place] = []

    def read_file(self, path: Path) -> None:
        try:
            with path.open("rb") as source:
                if not stat.S_ISREG(os.fstat(source.fileno()).st_mode):
                    return
                self.files += 1
                self._look_through(source, path.relative_to(self._root).as_posix())
            if self._cipher is not None:
                self._open(path, self._cipher)
        except FileNotFoundError:
            return  # removed meanwhile
        except WeightError as error:
            raise StorageError(f"{error}; nothing can be said of it") from error
        except OSError as error:
            raise StorageError(
                f"{path}: cannot be read ({error.strerror}); nothing can be said of it"
            ) from error

    def _open(self, path: Path, cipher: StoreCipher) -> None:
        from arrowmind.privacy.sealed.looking import opened_text  # noqa: PLC0415  only encrypted stores need it

        with opened_text(path, cipher) as text:
            if text is not None:
                self._look_through(text, path.relative_to(self._root).as_posix())

    def _look_through(self, source: IO[bytes], name: str) -> None:
        dictionaries: dict[int, bytes] = {}
        for offset, kind in sorted(self._read(source, name)):
            source.seek(offset)
            if kind:
                self._read_block(source, name, offset, dictionaries)
            else:
                self._read_frame(source, name, offset)

    def _read(
        self, source: IO[bytes] | _Unpacked, name: str, offset: int | None = None
    ) -> list[tuple[int, int]]:
        """Looks through a file, or what a frame holds; gives offsets and kinds of frames."""
        overlap = max(self._sieve.overlap, self._frames.overlap)
        position, kept = 0, b""
        frames: list[tuple[int, int]] = []
        while chunk := source.read(_CHUNK_BYTES):
            data = kept + chunk
            start = position - len(kept)
            for place, piece in self._sieve.find(data):
                # What lies in the overlap alone was found in the chunk before.
                if place + self._sieve.lengths[piece] > len(kept):
                    self._note(name, start + place if offset is None else offset, self._owners[piece])
            if offset is None:
                found = self._frames.find(data)
                frames += [(start + place, kind) for place, kind in found if place + 4 > len(kept)]
            position += len(chunk)
            kept = data[-overlap:] if overlap else b""
        self.bytes += position
        return frames

    def _read_frame(self, source: IO[bytes], name: str, offset: int) -> None:
        """Looks through what is packed here; four bytes may look like a frame and be none."""
        length = frame_length(source, offset)
        if length == 0:
            return
        import pyarrow as pa  # noqa: PLC0415  only stores with packed rows need it

        try:
            with pa.CompressedInputStream(
                pa.PythonFile(Slice(source, offset, length), "r"), "zstd"
            ) as stream:
                self._read(_Unpacked(stream), name, offset)
        except OSError:
            return

    def _read_block(self, source: IO[bytes], name: str, offset: int, dictionaries: dict[int, bytes]) -> None:
        """Looks through a block; what may be a dictionary is kept for those behind it."""
        bound = row_blocks.most_bytes(source.read(row_blocks.HEAD_BYTES))
        if bound == 0:
            return
        source.seek(offset)
        found = row_blocks.find_block(source.read(bound), dictionaries)
        if found is None:
            return
        rows, _ = found
        if len(rows) == 1 and len(rows[0]) <= row_blocks.MAX_DICTIONARY_BYTES:
            dictionaries[row_blocks.mark_of(rows[0])] = rows[0]
        data = b"\0".join(rows)
        self.bytes += len(data)
        for _, piece in self._sieve.find(data):
            self._note(name, offset, self._owners[piece])

    def _note(self, name: str, offset: int, needle: int) -> None:
        if (name, needle) not in self._noted:
            self._noted.add((name, needle))
            self.places.append(Place(name, offset, needle))


class _Unpacked:
    """A stream that ends where it is damaged, or is no frame any more, or goes on for too long."""

    def __init__(self, stream: Any) -> None:
        self._stream, self._left = stream, _MAX_FRAME_BYTES

    def read(self, size: int) -> bytes:
        parts, wanted = [], min(size, self._left)
        while wanted > 0:
            try:
                part: bytes = self._stream.read(min(wanted, 1 << 16))
            except OSError:
                self._left = 0
                break
            if not part:
                break
            parts.append(part)
            wanted -= len(part)
        data = b"".join(parts)
        self._left -= len(data)
        return data


def _files(root: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise _unreadable(error.filename, error)

    for folder, _, names in os.walk(root, onerror=refuse):
        for name in names:
            path = Path(folder) / name
            if not path.is_symlink() and path.is_file():
                yield path


def _unreadable(path: object, error: OSError) -> StorageError:
    return StorageError(f"{path}: cannot be read ({error.strerror}), so nothing can be said of it; allow it")


def _cipher(key: str | None) -> StoreCipher | None:
    if key is None:
        return None
    from arrowmind.privacy.sealed.cipher import StoreCipher  # noqa: PLC0415  only encrypted stores need it

    return StoreCipher(bytes.fromhex(key))


def _main() -> None:
    request = json.load(sys.stdin)
    needles = [base64.b64decode(needle) for needle in request["needles"]]
    report = find_bytes(request["folder"], needles, _cipher(request.get("key")))
    json.dump(asdict(report), sys.stdout)


if __name__ == "__main__":
    _main()
