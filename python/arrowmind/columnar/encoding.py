"""Python values -> the buffers of an Arrow column, as plans of what to write rather than as bytes.

A value given as a numpy array, a memmap or a Deferred is not touched until it is written, so that a file
larger than memory can be made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind.columnar.fields import Field
from arrowmind.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import numpy.typing as npt

    from arrowmind.columnar.fields import DataType

    Buffer = bytes | bytearray | memoryview | npt.NDArray[Any]

__all__ = ["Buffer", "Deferred", "EncodedBuffer", "EncodedColumn", "Part", "as_bytes_view", "encode_column"]


@dataclass(frozen=True)
class Deferred:
    """A binary value that is made when it is written, and dropped after.

    Attributes:
        size: its bytes, exactly.
        produce: called once; returns the bytes, or an iterable of pieces that together have ``size`` bytes.
    """

    size: int
    produce: Callable[[], Buffer | Iterable[Buffer]]


@dataclass(frozen=True)
class Part:
    """One stretch of a buffer: ``size`` bytes of ``data``, then zeros up to ``padded_size``."""

    data: Buffer | Deferred
    size: int
    padded_size: int


@dataclass(frozen=True)
class EncodedBuffer:
    """A buffer of a column, made of parts; it must start at a multiple of ``alignment`` in the file."""

    parts: Sequence[Part]
    alignment: int = 64

    @property
    def size(self) -> int:
        """Bytes, padding of the parts included."""
        return sum(part.padded_size for part in self.parts)


@dataclass(frozen=True)
class EncodedColumn:
    """A column as Arrow stores it: (length, null count) and buffers, depth first."""

    nodes: Sequence[tuple[int, int]]
    buffers: Sequence[EncodedBuffer]


def encode_column(field: Field, values: Any) -> EncodedColumn:
    """Plans the buffers of one column.

    Raises:
        InvalidArgumentError: the values do not fit the field.
    """
    try:
        return _encode(field, values)
    except (TypeError, ValueError, OverflowError) as error:
        if isinstance(error, InvalidArgumentError):
            raise
        raise InvalidArgumentError(f"column {field.name!r} of type {field.type}: {error}") from error


def _encode(field: Field, values: Any) -> EncodedColumn:
    data_type, name = field.data_type, field.name
    if not hasattr(values, "__len__"):
        values = list(values)
    present, valid = _split_nulls(values, name, nullable=field.nullable)
    node = (len(values), 0 if valid is None else len(values) - int(valid.sum()))
    validity = _of_array(np.packbits(valid, bitorder="little")) if valid is not None else EncodedBuffer(())
    if data_type.is_variable:
        return EncodedColumn([node], [validity, *_variable(data_type, present, name, field.alignment)])
    if data_type.kind == "list":
        return _list_column(data_type, present, name, node, validity)
    if data_type.kind == "fixed_size_list":
        return _fixed_list_column(data_type, present, name, node, validity)
    if data_type.kind == "fixed_size_binary":
        return EncodedColumn([node], [validity, _of_array(_fixed_binary(data_type, present, name))])
    if valid is not None:
        zero = False if data_type.kind == "bool" else 0
        present = [zero if value is None else value for value in present]
    numbers = _numbers(data_type, present, name)
    if data_type.kind == "bool":
        numbers = np.packbits(numbers, bitorder="little")
    return EncodedColumn([node], [validity, _of_array(numbers)])


def _split_nulls(values: Any, name: str, *, nullable: bool) -> tuple[Any, npt.NDArray[np.bool_] | None]:
    """The values, and which of them are present; None when all are."""
    if isinstance(values, np.ndarray) and values.dtype != object:
        return values, None
    valid = np.fromiter((value is not None for value in values), dtype=np.bool_, count=len(values))
    if valid.all():
        return values, None
    if not nullable:
        raise InvalidArgumentError(
            f"column {name!r}: row {int(np.argmin(valid))} is None; make the field nullable or give a value"
        )
    return values, valid


def _of_array(array: npt.NDArray[Any], alignment: int = 64) -> EncodedBuffer:
    flat = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    return EncodedBuffer((Part(flat, flat.size, flat.size),), alignment)


def _numbers(data_type: DataType, values: Any, name: str) -> npt.NDArray[Any]:
    wanted = np.dtype(data_type.numpy_name)
    if not isinstance(values, np.ndarray):
        return _exact(np.asarray(values), wanted, name) if len(values) else np.empty(0, wanted)
    if values.ndim != 1:
        raise InvalidArgumentError(f"column {name!r}: has shape {values.shape}; give one value per row")
    if values.dtype.kind == "M" and data_type.kind == "timestamp":
        return values.astype("datetime64[us]").view(np.int64)
    return _exact(values, wanted, name)


def _exact(values: npt.NDArray[Any], wanted: np.dtype[Any], name: str) -> npt.NDArray[Any]:
    """Casts between floats freely and to integers only where every value survives."""
    if values.dtype == wanted:
        return values
    floats = values.dtype.kind in "iuf" and wanted.kind == "f"
    if np.can_cast(values.dtype, wanted, "safe") or floats:
        return values.astype(wanted)
    cast = values.astype(wanted, copy=False) if values.dtype.kind in "iu" and wanted.kind in "iu" else None
    if cast is None or not np.array_equal(cast, values):
        raise InvalidArgumentError(
            f"column {name!r}: values of type {values.dtype} do not fit {wanted}; convert them first"
        )
    return cast


def _variable(data_type: DataType, values: Any, name: str, alignment: int) -> list[EncodedBuffer]:
    if data_type.is_text:
        encoded = [_encode_text(value, row, name) for row, value in enumerate(values)]
        sizes = [len(text) for text in encoded]
        parts = [Part(b"".join(encoded), sum(sizes), sum(sizes))]
    else:
        parts = [_binary_part(value, alignment) for value in values]
        sizes = [part.padded_size for part in parts]
    ends = np.cumsum([0, *sizes], dtype=np.int64)
    if not data_type.kind.startswith("large_"):
        if ends[-1] > np.iinfo(np.int32).max:
            raise InvalidArgumentError(
                f"column {name!r}: {ends[-1]} bytes exceed type {data_type}; use large_{data_type}"
            )
        ends = ends.astype(np.int32)
    return [_of_array(ends), EncodedBuffer(parts, max(64, alignment))]


def _encode_text(value: str | None, row: int, name: str) -> bytes:
    if value is None:
        return b""
    if not isinstance(value, str):
        raise InvalidArgumentError(f"column {name!r}: row {row} is a {type(value).__name__}; give a str")
    try:
        return value.encode()
    except UnicodeEncodeError as error:
        raise InvalidArgumentError(
            f"column {name!r}: row {row} has a lone surrogate at {error.start}; replace it"
        ) from error


def _binary_part(value: Buffer | Deferred | None, alignment: int) -> Part:
    if value is None:
        return Part(b"", 0, 0)
    data = value if isinstance(value, Deferred) else as_bytes_view(value)
    if data.size < 0:
        raise InvalidArgumentError(f"a deferred value declares {data.size} bytes; give its exact size")
    return Part(data, data.size, -(-data.size // alignment) * alignment)


def as_bytes_view(value: Buffer) -> npt.NDArray[np.uint8]:
    """A contiguous buffer as uint8 [bytes], without a copy."""
    if isinstance(value, np.ndarray):
        return np.ascontiguousarray(value).reshape(-1).view(np.uint8)
    return np.frombuffer(value, dtype=np.uint8)


def _list_column(
    data_type: DataType, values: Any, name: str, node: tuple[int, int], validity: EncodedBuffer
) -> EncodedColumn:
    lists = [() if value is None else value for value in values]
    ends = np.cumsum([0, *map(len, lists)], dtype=np.int64)
    if ends[-1] > np.iinfo(np.int32).max:
        raise InvalidArgumentError(f"column {name!r}: has {ends[-1]} values, more than a list can hold")
    child = _encode(Field(name, str(_child(data_type))), [value for one in lists for value in one])
    offsets = _of_array(ends.astype(np.int32))
    return EncodedColumn([node, *child.nodes], [validity, offsets, *child.buffers])


def _fixed_list_column(
    data_type: DataType, values: Any, name: str, node: tuple[int, int], validity: EncodedBuffer
) -> EncodedColumn:
    child_type = _child(data_type)
    if child_type.numpy_name is None or child_type.kind == "bool":
        raise InvalidArgumentError(f"column {name!r}: type {data_type} is not served; use numbers inside")
    if node[1]:
        values = [[0] * data_type.width if value is None else value for value in values]
    matrix = np.asarray(values) if len(values) else np.empty((0, data_type.width), child_type.numpy_name)
    if matrix.ndim != 2 or matrix.shape[1] != data_type.width:
        raise InvalidArgumentError(
            f"column {name!r}: values have shape {matrix.shape}; give [rows, {data_type.width}]"
        )
    numbers = _exact(matrix, np.dtype(child_type.numpy_name), name)
    return EncodedColumn([node, (matrix.size, 0)], [validity, EncodedBuffer(()), _of_array(numbers)])


def _fixed_binary(data_type: DataType, values: Any, name: str) -> npt.NDArray[np.uint8]:
    shape = (len(values), data_type.width)
    if isinstance(values, np.ndarray) and values.dtype == np.uint8 and values.shape == shape:
        return values
    rows = [bytes(data_type.width) if value is None else bytes(value) for value in values]
    if any(len(row) != data_type.width for row in rows):
        raise InvalidArgumentError(f"column {name!r}: every value must have {data_type.width} bytes")
    return np.frombuffer(b"".join(rows), dtype=np.uint8).reshape(shape)


def _child(data_type: DataType) -> DataType:
    if data_type.child is None:
        raise InvalidArgumentError(f"type {data_type} has no values")
    return data_type.child
