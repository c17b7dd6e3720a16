"""What the footer of a Parquet file says of its row groups, read by ourselves.

pyarrow ends the process at some lies of a footer (statistics of sizes that do not agree with the schema),
once it is asked for one column of one row group. So it is never asked: its readers, which give errors, see
those.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from arrowmind.errors import IntegrityError
from arrowmind.weights.parquet_thrift import Compact

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Chunk", "RowGroup", "read_footer"]

_MAGIC = b"PAR1"
_END_BYTES = 8
_LARGEST = 64 << 20
"""Bytes of a footer; those of weights have some hundred for each column of a tensor."""
# Numbers of fields, by struct.
_ROW_GROUPS = 4
_COLUMNS, _UNPACKED, _ROWS = 1, 2, 3
_META_DATA = 3
_PATH, _STORED, _DATA_PAGE, _DICTIONARY_PAGE = 3, 7, 9, 11


@dataclass(frozen=True)
class Chunk:
    """A column of a row group: the first part of its path, offset of its first page, bytes with headers."""

    column: str
    start: int
    size: int


@dataclass(frozen=True)
class RowGroup:
    """Its columns, the number of rows, and the bytes it says it unpacks to."""

    chunks: tuple[Chunk, ...]
    rows: int
    unpacked: int


def read_footer(path: Path) -> list[RowGroup]:
    """The row groups of a Parquet file.

    Raises:
        IntegrityError: it is none, or its footer cannot be read.
        OSError: the file cannot be read.
    """
    try:
        return [
            _row_group(fields) for fields in _typed(Compact(_footer(path)).struct().get(_ROW_GROUPS), list)
        ]
    except (ValueError, IndexError) as error:
        raise IntegrityError(f"{path}: the footer cannot be read ({error}); copy it again") from error


def _footer(path: Path) -> bytes:
    with path.open("rb") as file:
        end = file.seek(0, 2) - _END_BYTES
        if end < 0:
            raise ValueError("the file is too short for one")
        file.seek(end)
        size, magic = int.from_bytes(file.read(4), "little"), file.read(4)
        if magic != _MAGIC or size > min(end, _LARGEST):
            raise ValueError(f"the file ends with {magic!r} and claims a footer of {size} bytes")
        file.seek(end - size)
        return file.read(size)


def _row_group(fields: Any) -> RowGroup:
    described = _typed(fields, dict)
    return RowGroup(
        tuple(_chunk(column) for column in _typed(described.get(_COLUMNS), list)),
        _typed(described.get(_ROWS), int),
        _typed(described.get(_UNPACKED), int),
    )


def _chunk(fields: Any) -> Chunk:
    described = _typed(_typed(fields, dict).get(_META_DATA), dict)
    path = _typed(described.get(_PATH), list)
    start = _typed(described.get(_DATA_PAGE), int)
    dictionary = described.get(_DICTIONARY_PAGE)
    if isinstance(dictionary, int) and 0 < dictionary < start:
        start = dictionary
    name = _typed(path[0], bytes).decode()
    return Chunk(name, start, _typed(described.get(_STORED), int))


def _typed(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise ValueError(f"it has {type(value).__name__} where {kind.__name__} should stand")
    return value
