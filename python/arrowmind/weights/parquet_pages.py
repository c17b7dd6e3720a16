"""Page headers of a Parquet file, read before anything is unpacked.

The footer says how large columns are, and may lie; what is allocated follows from the headers of the pages,
which stand between the pages themselves in Thrift's compact encoding. They are read with seeks, a few hundred
bytes each, and no page is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from arrowmind.errors import IntegrityError
from arrowmind.weights.parquet_thrift import Compact

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["DICTIONARY", "Page", "read_pages"]

_HEADER_BYTES = 1 << 14
"""More than any page header has but for statistics of long texts, which weights do not need."""
_DATA, _INDEX, DICTIONARY, _DATA_V2 = range(4)
_VALUE_FIELDS = {_DATA: 5, DICTIONARY: 7, _DATA_V2: 8}
"""Number of the field of the header with the struct of each type; field 1 of that is the number of values."""


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
            reader = Compact(data)
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
