"""The bytes of a GGUF file: head, metadata, descriptions of tensors."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["ALIGNMENT", "Entries", "TensorInfo", "encode_head", "padding"]

ALIGNMENT = 32
"""Of the bytes of tensors; what readers expect where a file does not say."""

_VERSION = 3
_UINT32, _INT32, _FLOAT32, _BOOL, _STRING, _ARRAY = 4, 5, 6, 7, 8, 9


@dataclass(frozen=True)
class TensorInfo:
    """A tensor as the head describes it.

    Attributes:
        name: as in the file.
        number: of its type.
        shape: rows first.
        size: bytes.
    """

    name: str
    number: int
    shape: tuple[int, ...]
    size: int


class Entries:
    """Metadata in the order in which they are added."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def __len__(self) -> int:
        return len(self._parts)

    def add(self, key: str, value: bool | float | str) -> None:  # noqa: FBT001 - bool is a type of metadata
        """A bool, a text, an int as uint32, a float as float32."""
        if isinstance(value, bool):
            self._put(key, _BOOL, struct.pack("<B", value))
        elif isinstance(value, int):
            self._put(key, _UINT32, struct.pack("<I", value))
        elif isinstance(value, float):
            self._put(key, _FLOAT32, struct.pack("<f", value))
        else:
            self._put(key, _STRING, _string(value))

    def add_texts(self, key: str, values: Sequence[str]) -> None:
        """A list of texts."""
        self._put_array(key, _STRING, len(values), b"".join(map(_string, values)))

    def add_int32(self, key: str, values: Iterable[int]) -> None:
        """A list of int32."""
        array = np.fromiter(values, dtype="<i4")
        self._put_array(key, _INT32, array.size, array.tobytes())

    def add_float32(self, key: str, values: Iterable[float]) -> None:
        """A list of float32."""
        array = np.fromiter(values, dtype="<f4")
        self._put_array(key, _FLOAT32, array.size, array.tobytes())

    def encoded(self) -> bytes:
        """All entries."""
        return b"".join(self._parts)

    def _put(self, key: str, kind: int, data: bytes) -> None:
        self._parts.append(_string(key) + struct.pack("<I", kind) + data)

    def _put_array(self, key: str, kind: int, count: int, data: bytes) -> None:
        self._put(key, _ARRAY, struct.pack("<IQ", kind, count) + data)


def encode_head(entries: Entries, tensors: Sequence[TensorInfo]) -> bytes:
    """All that stands before the bytes of the tensors, which follow in this order, each padded."""
    parts = [b"GGUF", struct.pack("<IQQ", _VERSION, len(tensors), len(entries)), entries.encoded()]
    offset = 0
    for tensor in tensors:
        sizes = struct.pack(f"<I{len(tensor.shape)}Q", len(tensor.shape), *reversed(tensor.shape))
        parts.append(_string(tensor.name) + sizes + struct.pack("<IQ", tensor.number, offset))
        offset += tensor.size + padding(tensor.size)
    head = b"".join(parts)
    return head + bytes(padding(len(head)))


def padding(size: int) -> int:
    """Zero bytes behind ``size`` bytes."""
    return -size % ALIGNMENT


def _string(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data
