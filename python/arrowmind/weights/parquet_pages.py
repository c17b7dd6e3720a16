"""Page headers of a Parquet file, read before anything is unpacked.

The footer says how large columns are, and may lie; what is allocated follows from the headers of the pages,
which stand between the pages themselves in Thrift's compact encoding. They are read with seeks, a few hundred
bytes each, and no page is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from arrowmind.errors import IntegrityError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["DICTIONARY", "Page", "read_pages"]

_HEADER_BYTES = 1 << 14
"""More than any page header has but for statistics of long texts, which weights do not need."""
_MAX_DEPTH = 8
_DATA, _INDEX, DICTIONARY, _DATA_V2 = range(4)
_VALUE_FIELDS = {_DATA: 5, DICTIONARY: 7, _DATA_V2: 8}
"""Number of the field of the header with the struct of each type; field 1 of that is the number of values."""
_STOP, _TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = 0, 1, 2, 3, 7, 8, 9, 10, 11, 12


@dataclass(frozen=True)
class Page:
    """What a page header says: type, bytes once unpacked and as stored, number of values."""

    kind: int
    unpacked: int
    stored: int
    values: int


def read_pages(file: IO[bytes], start: int, size: int, where: str) -> Iterator[Page]:
    """The pages of a column chunk.

    Args:
        file: the Parquet file.
        start: offset of the chunk's first page.
        size: bytes of the chunk, headers included.
        where: file and column, for messages.

    Raises:
        IntegrityError: a header is none, or its page leaves the chunk.
    """
    end = start + size
    while start < end:
        file.seek(start)
        data = file.read(min(_HEADER_BYTES, end - start))
        try:
            reader = _Thrift(data)
            fields = reader.struct()
            page = _page(fields)
        except (ValueError, IndexError, RecursionError) as error:
            raise IntegrityError(
                f"{where}: the page header at {start} cannot be read ({error}); copy it again"
            ) from error
        start += reader.position + page.stored
        if start > end:
            raise IntegrityError(
                f"{where}: a page claims {page.stored} bytes and leaves its column; copy it again"
            )
        yield page


def _page(fields: dict[int, Any]) -> Page:
    kind, unpacked, stored = (fields.get(number) for number in (1, 2, 3))
    if not isinstance(kind, int) or not isinstance(unpacked, int) or not isinstance(stored, int):
        raise ValueError("it has no type or size")
    values: Any = 0
    if kind in _VALUE_FIELDS:
        described = fields.get(_VALUE_FIELDS[kind])
        values = described.get(1) if isinstance(described, dict) else None
    if not isinstance(values, int) or kind not in (_DATA, _INDEX, DICTIONARY, _DATA_V2):
        raise ValueError("its type and what it describes do not agree")
    if min(unpacked, stored, values) < 0:
        raise ValueError(f"it claims {unpacked} bytes in {stored} with {values} values")
    return Page(kind, unpacked, stored, values)


class _Thrift:
    """Thrift's compact encoding: just enough of it, and within the bytes that are there."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0

    def struct(self, depth: int = 0) -> dict[int, Any]:
        """Fields by number: integers and structs; other values are skipped."""
        if depth > _MAX_DEPTH:
            raise ValueError(f"it is nested deeper than {_MAX_DEPTH}")
        fields: dict[int, Any] = {}
        number = 0
        while (head := self._byte()) != _STOP:
            number = number + (head >> 4) if head >> 4 else self._integer()
            fields[number] = self._value(head & 15, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        if kind in (_TRUE, _FALSE):
            return kind == _TRUE
        if kind == _BYTE:
            return self._byte()
        if kind in (4, 5, 6):
            return self._integer()
        if kind == _DOUBLE:
            return self._skip(8)
        if kind == _BINARY:
            return self._skip(self._varint())
        if kind in (_LIST, _SET):
            return self._items(depth)
        if kind == _STRUCT:
            return self.struct(depth + 1)
        raise ValueError(f"it holds a value of type {kind}")

    def _items(self, depth: int) -> None:
        head = self._byte()
        count = head >> 4 if head >> 4 != 15 else self._varint()
        if count > len(self._data):
            raise ValueError(f"a list claims {count} items")
        for _ in range(count):
            # A bool is a byte of its own inside a list.
            self._value(_BYTE if head & 15 in (_TRUE, _FALSE) else head & 15, depth + 1)

    def _skip(self, count: int) -> None:
        if count > len(self._data) - self.position:
            raise ValueError(f"a value claims {count} bytes")
        self.position += count

    def _byte(self) -> int:
        value = self._data[self.position]
        self.position += 1
        return value

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
            if shift > 63:
                raise ValueError("a number has more than 64 bits")

    def _integer(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
