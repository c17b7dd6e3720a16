"""Mapped Arrow IPC files: opening reads the footer only, columns are views of the mapping."""

from __future__ import annotations

import os
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from arrowmind import _native
from arrowmind._native import BinaryColumn, crc32c
from arrowmind.columnar.fields import ALIGNMENT_KEY, Field
from arrowmind.errors import InvalidArgumentError, WeightError

if TYPE_CHECKING:
    from types import TracebackType

    import numpy as np
    import numpy.typing as npt

__all__ = ["ArrowFile", "Batch", "BinaryColumn", "crc32c"]

_ALIGNMENTS = frozenset(str(1 << shift) for shift in range(13))


class ArrowFile:
    """An Arrow IPC file, mapped read-only and validated by the native core.

    Use as a context manager, or call :meth:`close`. Arrays and binary columns taken from it stay valid after
    closing: the mapping lives as long as the last of them.

    Example::

        with ArrowFile.open("weights.arrow") as file:
            names = file.batch(0).strings("name")
    """

    def __init__(self, native: _native.ArrowFile, path: str, tree: _native.HashTree | None = None) -> None:
        self._native: _native.ArrowFile | None = native
        self._tree = tree
        self.path = path

    @classmethod
    def open(cls, path: str | os.PathLike[str], early: _native.EarlyWeights | None = None) -> ArrowFile:
        """Maps the file at ``path``.

        Args:
            path: the file.
            early: reads the same file already, and has it open.

        Raises:
            WeightError: the file cannot be opened, or has features this reader does not serve
                (compression, dictionaries, nested structs ...).
            IntegrityError: the file is damaged.
        """
        encoded = os.fsencode(path)
        if b"\0" in encoded:
            raise WeightError(f"path {os.fspath(path)!r} has a NUL character; give the path of an Arrow file")
        opened = None if early is None else early.opened()
        if opened is not None:
            return cls(opened[0], os.fsdecode(encoded), opened[1])
        return cls(_native.ArrowFile.open(encoded), os.fsdecode(encoded))

    def _open_file(self) -> _native.ArrowFile:
        if self._native is None:
            raise InvalidArgumentError(f"{self.path}: is closed; open it again")
        return self._native

    @property
    def metadata(self) -> dict[str, str]:
        """Key-value pairs of the schema."""
        return self._open_file().metadata

    @property
    def fields(self) -> list[Field]:
        """The columns, in file order."""
        return [_field(*parts) for parts in self._open_file().fields]

    @property
    def num_batches(self) -> int:
        """Number of record batches."""
        return self._open_file().num_batches

    @property
    def size(self) -> int:
        """Size of the file in bytes."""
        return self._open_file().size

    def forget_pages(self, offset: int, size: int) -> None:
        """Pages of a range stop counting as this process's memory until they are touched again."""
        self._open_file().forget_pages(offset, size)

    def hash_tree(self) -> _native.HashTree | None:
        """The Merkle tree of the file, its root compared with its hashes; None for a file without.

        Raises:
            IntegrityError: the tree, or the footer that it covers, is not what was written.
        """
        return self._tree or _native.open_hash_tree(self._open_file())

    def batch(self, i: int) -> Batch:
        """Reads the metadata of batch ``i``, 0 <= i < ``num_batches``."""
        return Batch(self._open_file().batch(i), self.path)

    def close(self) -> None:
        """Lets go of the mapping. Closing twice does nothing."""
        self._native = self._tree = None

    def __enter__(self) -> ArrowFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Batch:
    """One record batch. All methods take the name of a column.

    They raise WeightError for a name the file does not have or a type that does not fit, and IntegrityError
    for a damaged column.
    """

    def __init__(self, native: _native.ArrowBatch, path: str) -> None:
        self._native = native
        self._path = path

    @property
    def native(self) -> _native.ArrowBatch:
        """For readers in the native core."""
        return self._native

    @property
    def num_rows(self) -> int:
        """Number of rows."""
        return self._native.num_rows

    def verify_index(self, tree: _native.HashTree) -> None:
        """Compares everything of the batch but the values of its binary columns with the tree of its file.

        Raises:
            IntegrityError: it is not what was written.
        """
        tree.verify_index(self._native)

    def strings(self, name: str) -> list[str | None]:
        """Values of a text column; None where a value is missing."""
        return self._native.column(name).strings()

    def numbers(self, name: str, *, allow_nulls: bool = False) -> npt.NDArray[Any]:
        """Values of a column of numbers, as a read-only view of the mapping (bool columns are copied).

        Args:
            name: the column.
            allow_nulls: accept missing values; their places in the result hold anything, and
                :meth:`validity` tells which they are.

        Returns:
            [rows]; [rows, width] for ``fixed_size_list``; uint8 [rows, width] for ``fixed_size_binary``;
            int64 microseconds for timestamps.
        """
        column = self._native.column(name)
        if column.null_count > 0 and not allow_nulls:
            raise WeightError(
                f"{self._path}: column {name!r} has {column.null_count} missing values; "
                "pass allow_nulls=True and ask validity() where they are"
            )
        return column.numbers()

    def validity(self, name: str) -> npt.NDArray[np.bool_] | None:
        """Whether each row [rows] has a value; None when all have."""
        column = self._native.column(name)
        return column.validity() if column.null_count > 0 else None

    def lists(self, name: str) -> list[list[Any] | None]:
        """Values of a column of lists of numbers, bools or strings; None where a list is missing."""
        return _lists(self._native.column(name))

    def binary(self, name: str) -> BinaryColumn:
        """Values of a binary or text column as read-only uint8 views of the mapping."""
        return self._native.column(name).binary()

    def __arrow_c_schema__(self) -> object:
        """The schema as an ``arrow_schema`` capsule of the Arrow C Data interface."""
        return self._native.__arrow_c_schema__()

    def __arrow_c_array__(self, requested_schema: object | None = None) -> tuple[object, object]:
        """The batch as ``arrow_schema`` and ``arrow_array`` capsules; the buffers are not copied."""
        return self._native.__arrow_c_array__(requested_schema)


def _field(name: str, data_type: str, nullable: bool, metadata: dict[str, str]) -> Field:  # noqa: FBT001
    alignment = metadata.pop(ALIGNMENT_KEY, "1")
    if alignment not in _ALIGNMENTS or data_type not in ("binary", "large_binary"):
        alignment = "1"
    return Field(name, data_type, nullable, int(alignment), metadata)


def _lists(column: _native.ArrowColumn) -> list[list[Any] | None]:
    values = _values(column.child())
    lists: list[list[Any] | None] = [values[begin:end] for begin, end in pairwise(column.offsets().tolist())]
    if column.null_count > 0:
        lists = [value if valid else None for value, valid in zip(lists, column.validity(), strict=True)]
    return lists


def _values(column: _native.ArrowColumn) -> list[Any]:
    if column.type in ("utf8", "large_utf8"):
        return column.strings()
    if column.type.startswith("list<"):
        return _lists(column)
    values: list[Any] = column.tolist()
    if column.null_count > 0:
        values = [value if valid else None for value, valid in zip(values, column.validity(), strict=True)]
    return values
