"""What `arrowmind encrypt` and `arrowmind decrypt` do, for one file or a whole folder."""

from __future__ import annotations

import io
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from arrowmind.columnar.publication import publish, sweep_temporary
from arrowmind.errors import ConfigurationError, IntegrityError, InvalidArgumentError, WeightError
from arrowmind.observe import get_logger, no_progress
from arrowmind.weights.documents import MAX_JSON_BYTES
from arrowmind.weights.encryption.cipher import Keys
from arrowmind.weights.encryption.file import open_chunks, open_regular, read_header, seal_chunks, text_bytes
from arrowmind.weights.encryption.header import COST_LOG2, FILE, INDEX, INDEX_NAME, PASSPHRASE, SUFFIX
from arrowmind.weights.encryption.index import Index, IndexEntry
from arrowmind.weights.encryption.secret import MIN_PASSPHRASE
from arrowmind.weights.folder import publish_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from arrowmind.observe import Progress
    from arrowmind.weights.encryption.file import Readable
    from arrowmind.weights.encryption.header import Header
    from arrowmind.weights.encryption.secret import Secret

__all__ = ["EncryptionReport", "decrypt_model", "encrypt_model", "secret_kind"]

_log = get_logger("arrowmind.weights")


@dataclass
class EncryptionReport:
    """What was encrypted or decrypted.

    Attributes:
        path: the file or folder read.
        output: the file or folder made.
        files: how many.
        bytes: of text, without headers and tags.
        seconds: time it took.
    """

    path: str
    output: str
    files: int = 0
    bytes: int = 0
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def encrypt_model(
    path: str | os.PathLike[str],
    output: str | os.PathLike[str],
    secret: Secret,
    *,
    force: bool = False,
    progress: Progress = no_progress,
    cost_log2: int = COST_LOG2,
) -> EncryptionReport:
    """Encrypts a file, or every file of a folder; the result appears whole or not at all.

    Args:
        path: file or folder; it is left as it is.
        output: what to make: of a folder, a folder whose files end in `.enc`, and `encrypted.index`.
        secret: key or passphrase.
        force: replace `output` if it exists.
        progress: called with bytes of text.
        cost_log2: scrypt's N as a power of two, 14 to 19: 128 MiB at 17, double with each step.

    Raises:
        ConfigurationError: the passphrase is too short.
        InvalidArgumentError: the cost is out of bounds.
        WeightError: `path` cannot be read, or `output` exists or overlaps it.
        StorageError: `output` cannot be written.
    """
    check_secret(secret, cost_log2)
    work = Work(Path(path), Path(output), force, progress)
    if work.path.is_dir():
        _encrypt_folder(work, Keys.fresh(secret, cost_log2))
    else:
        with open_regular(work.path) as source, publish(work.output) as target:
            work.total = os.fstat(source.fileno()).st_size
            work.seal(source, target, Keys.fresh(secret, cost_log2))
    return work.finish("model encrypted")


def decrypt_model(
    path: str | os.PathLike[str],
    output: str | os.PathLike[str],
    secret: Secret,
    *,
    force: bool = False,
    progress: Progress = no_progress,
) -> EncryptionReport:
    """Gives back what was encrypted, byte for byte; the result appears whole or not at all.

    Args:
        path: encrypted file or folder; it is left as it is.
        output: file or folder to make.
        secret: what it was encrypted with.
        force: replace `output` if it exists.
        progress: called with bytes of text.

    Raises:
        IntegrityError: the secret is wrong, or anything was changed, swapped, cut off or added.
        WeightError: `path` is not encrypted, or `output` exists or overlaps it.
        StorageError: `output` cannot be written.
    """
    work = Work(Path(path), Path(output), force, progress)
    if work.path.is_dir():
        _decrypt_folder(work, secret)
    else:
        with publish(work.output) as target:
            sweep_temporary(work.output.parent)  # text that a killed process left
            work.open(work.open_file(secret), target)
    return work.finish("model decrypted")


def secret_kind(path: str | os.PathLike[str]) -> int:
    """Whether `header.KEY` or `header.PASSPHRASE` opens an encrypted file or folder.

    Raises:
        WeightError: it is not encrypted, or cannot be read.
    """
    place = _index_path(Path(path)) if Path(path).is_dir() else Path(path)
    with open_regular(place) as source:
        return read_header(source, place).kind


def check_secret(secret: Secret, cost_log2: int) -> None:
    """Raises ConfigurationError for a passphrase that is too short, InvalidArgumentError for a cost."""
    if cost_log2 not in range(14, 20):
        raise InvalidArgumentError(f"cost_log2 {cost_log2} is not between 14 and 19")
    if secret.kind == PASSPHRASE and len(secret.value.decode("utf-8", "replace")) < MIN_PASSPHRASE:
        raise ConfigurationError(f"the passphrase is too short; take at least {MIN_PASSPHRASE} characters")


class Work:
    """One call: where from, where to (nowhere is None), how far."""

    def __init__(self, path: Path, output: Path | None, force: bool, progress: Progress) -> None:  # noqa: FBT001
        self.path, self.force, self._progress = path, force, progress
        self.output = output or path
        self.total, self._what, self._started = 0, path.name, time.perf_counter()
        self.report = EncryptionReport(str(path), str(output or ""))
        if not path.exists():
            raise WeightError(f"{path} does not exist; give a file or a model folder")
        if output is not None:
            self._check_output(path, output, force=force)

    def _check_output(self, path: Path, output: Path, *, force: bool) -> None:
        here, there = path.resolve(), output.resolve()
        if here == there or here in there.parents or there in here.parents:
            raise WeightError(f"{output} overlaps {path}, which would be lost; choose another name")
        if output.exists() and not (force and output.is_dir() == path.is_dir()):
            raise WeightError(f"{output} exists; choose another name, remove it, or pass force to replace it")

    def open_file(self, secret: Secret) -> Iterator[bytes]:
        """The text of the encrypted file that the work is about."""
        with open_regular(self.path) as source:
            header = _header(source, self.path, FILE)
            self.total = text_bytes(os.fstat(source.fileno()).st_size, header)
            keys = Keys.of(secret, header, self.path)
            yield from open_chunks(source, self.path, header, keys.open(header, self.path))

    def count(self, pieces: Iterator[bytes]) -> None:
        """Authenticates a text and lets go of it."""
        for text in pieces:
            self._advance(len(text))
        self.report.files += 1

    def seal(self, source: Readable, target: IO[bytes], keys: Keys) -> IndexEntry:
        header, chunks = keys.create(FILE)
        size = seal_chunks(source, target, header, chunks, self._advance)
        self.report.files += 1
        return IndexEntry(size, header.file_id)

    def open(self, pieces: Iterator[bytes], target: IO[bytes]) -> None:
        for text in pieces:
            target.write(text)
            self._advance(len(text))
        self.report.files += 1

    def finish(self, event: str) -> EncryptionReport:
        self.report.seconds = time.perf_counter() - self._started
        _log.info(event, **self.report.to_dict())
        return self.report

    def _advance(self, count: int) -> None:
        self.report.bytes += count
        self._progress(self.report.bytes, self.total, self._what)


def _encrypt_folder(work: Work, keys: Keys) -> None:
    files, folders = _contents(work.path)
    work.total = sum(path.stat().st_size for path in files.values())
    index = Index(folders=folders)
    with publish_folder(work.output, force=work.force) as building:
        for name in folders:
            (building / name).mkdir()
        for name, path in files.items():
            with open_regular(path) as source, (building / (name + SUFFIX)).open("xb") as target:
                index.files[name] = work.seal(source, target, keys)
        write_index(building, index, keys)


def write_index(folder: Path, index: Index, keys: Keys) -> None:
    """Encrypts the index of a folder into it."""
    header, chunks = keys.create(INDEX)
    with (folder / INDEX_NAME).open("xb") as target:
        seal_chunks(io.BytesIO(index.encode()), target, header, chunks, lambda _count: None)


def _contents(folder: Path) -> tuple[dict[str, Path], list[str]]:
    """Files and folders below a folder by their names, folders before what is in them."""
    files, folders = {}, []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        try:
            name.encode()
        except UnicodeEncodeError as error:
            raise WeightError(f"{folder}: file name {name!r} is not UTF-8; rename it") from error
        if path.is_file():
            files[name] = path
        elif path.is_dir() and not path.is_symlink():
            folders.append(name)
        else:
            raise WeightError(f"{path} is neither a file nor a folder; remove it first")
    return files, folders


def _decrypt_folder(work: Work, secret: Secret) -> None:
    index, keys = open_index(work.path, secret)
    work.total = sum(entry.size for entry in index.files.values())
    with publish_folder(work.output, force=work.force) as building:
        for name in index.folders:
            (building / name).mkdir()
        for name, entry in index.files.items():
            with (building / name).open("xb") as target:
                work.open(open_entry(work.path, keys, name, entry), target)


def open_index(folder: Path, secret: Secret) -> tuple[Index, Keys]:
    """The index of an encrypted folder, authenticated, and the keys of its files.

    Raises:
        IntegrityError: the secret is wrong, or the index was changed.
        WeightError: the folder is not encrypted.
    """
    place = _index_path(folder)
    with open_regular(place) as source:
        header = _header(source, place, INDEX)
        size = os.fstat(source.fileno()).st_size
        if text_bytes(size, header) > MAX_JSON_BYTES:
            raise IntegrityError(f"{place} has {size} bytes, more than any index; copy it again")
        keys = Keys.of(secret, header, place)
        data = b"".join(open_chunks(source, place, header, keys.open(header, place)))
    index = Index.decode(data, place)
    _tell_strangers(folder, index)
    return index, keys


def open_entry(folder: Path, keys: Keys, name: str, entry: IndexEntry) -> Iterator[bytes]:
    """The text of one file of an encrypted folder; nothing of it counts before the last piece has come.

    Raises:
        IntegrityError: the file is missing, is not the one of the index, or was changed.
    """
    path = folder / (name + SUFFIX)
    if not path.exists():
        raise IntegrityError(f"{path} is missing; copy the folder again")
    with open_regular(path) as source:
        header = _header(source, path, FILE)
        if header.file_id != entry.file_id:
            raise IntegrityError(
                f"{path} is not the file that {INDEX_NAME} names: it was swapped, or is of another "
                "encryption; copy the folder again"
            )
        if text_bytes(os.fstat(source.fileno()).st_size, header) != entry.size:
            raise IntegrityError(f"{path}: holds not the {entry.size} bytes that were written; copy it again")
        yield from open_chunks(source, path, header, keys.open(header, path))


def _tell_strangers(folder: Path, index: Index) -> None:
    known = {INDEX_NAME, *(name + SUFFIX for name in index.files)}
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}
    for name in sorted(found - known):
        _log.warning("a file is not in the index and is left out", folder=str(folder), file=name)


def _index_path(folder: Path) -> Path:
    path = folder / INDEX_NAME
    if not path.exists():
        raise WeightError(
            f"{folder} is not encrypted: {INDEX_NAME} is missing; give what `arrowmind encrypt` made"
        )
    return path


def _header(source: IO[bytes], path: Path, role: int) -> Header:
    header = read_header(source, path)
    if header.role != role:
        remedy = "give its folder" if role == FILE else "copy the folder again"
        raise IntegrityError(f"{path} is {'the index' if role == FILE else 'a file'} of a folder; {remedy}")
    return header
