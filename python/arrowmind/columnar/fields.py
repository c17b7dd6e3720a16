"""Columns of an Arrow file: names and types, written as the native reader writes them."""

from __future__ import annotations

import re
from dataclasses import field
from typing import TYPE_CHECKING

from arrowmind.errors import InvalidArgumentError
from arrowmind.frozen import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ALIGNMENT_KEY", "DataType", "Field"]

ALIGNMENT_KEY = "arrowmind.alignment"
"""Key of a field's metadata that holds the alignment of its values in the file."""

# numpy dtype of each number; bool is stored as bits, timestamps as microseconds.
_NUMPY_NAMES = {
    **{name: name for name in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")},
    **{name: name for name in ("float16", "float32", "float64", "bool")},
    "timestamp": "int64",
}
_TEXT = ("utf8", "large_utf8")
_BINARY = ("binary", "large_binary")
_TIMESTAMP = re.compile(r"timestamp\[us(?:, tz=(?P<tz>.+))?\]", re.DOTALL)
_PARAMETRIC = re.compile(r"(?P<kind>fixed_size_binary|fixed_size_list|list)<(?P<inner>.*)>", re.DOTALL)


@dataclass(frozen=True)
class DataType:
    """The type of a column.

    Attributes:
        kind: ``"int32"``, ``"utf8"``, ``"list"`` ... without parameters.
        width: bytes of a ``fixed_size_binary``, values of a ``fixed_size_list``, else 0.
        child: type of the values of a list.
        timezone: of a timestamp, empty for none.
    """

    kind: str
    width: int = 0
    child: DataType | None = None
    timezone: str = ""

    @classmethod
    def parse(cls, text: str) -> DataType:
        """Reads a type such as ``"int32"``, ``"list<int32>"`` or ``"fixed_size_list<float32, 384>"``.

        Raises:
            InvalidArgumentError: the text names no type this package writes.
        """
        timestamp = _TIMESTAMP.fullmatch(text)
        if timestamp:
            return cls("timestamp", timezone=timestamp["tz"] or "")
        parametric = _PARAMETRIC.fullmatch(text)
        if parametric:
            return cls._parse_parametric(text, parametric["kind"], parametric["inner"])
        if text != "timestamp" and (text in _NUMPY_NAMES or text in _TEXT or text in _BINARY):
            return cls(text)
        raise _unknown_type(text)

    @classmethod
    def _parse_parametric(cls, text: str, kind: str, inner: str) -> DataType:
        if kind == "list":
            return cls(kind, child=cls.parse(inner))
        value, _, width = inner.rpartition(",") if kind == "fixed_size_list" else ("", "", inner)
        if not width.strip().isdecimal() or not 0 < int(width) < 2**31:
            raise _unknown_type(text)
        return cls(kind, int(width), cls.parse(value.strip()) if value else None)

    def __str__(self) -> str:
        if self.kind == "timestamp":
            return f"timestamp[us, tz={self.timezone}]" if self.timezone else "timestamp[us]"
        parameters = [str(part) for part in (self.child, self.width) if part]
        return f"{self.kind}<{', '.join(parameters)}>" if parameters else self.kind

    @property
    def numpy_name(self) -> str | None:
        """Name of the numpy dtype of one value; None for text, binary and lists."""
        return _NUMPY_NAMES.get(self.kind)

    @property
    def is_text(self) -> bool:
        """Whether the values are strings."""
        return self.kind in _TEXT

    @property
    def is_variable(self) -> bool:
        """Whether the values are text or binary of any size, stored behind offsets."""
        return self.kind in _TEXT or self.kind in _BINARY


def _unknown_type(text: str) -> InvalidArgumentError:
    known = [*(name for name in _NUMPY_NAMES if name != "timestamp"), *_TEXT, *_BINARY]
    return InvalidArgumentError(
        f"type {text!r} is unknown; use one of {', '.join(known)}, timestamp[us], fixed_size_binary<n>, "
        "list<type>, fixed_size_list<type, n>"
    )


@dataclass(frozen=True)
class Field:
    """One column of an Arrow file.

    Attributes:
        name: unique within the file.
        type: as in :meth:`DataType.parse`.
        nullable: whether values may be None.
        alignment: a power of two up to 4096. Every value of a binary column starts at a file offset that is a
            multiple of it; each value is then padded with zeros to a multiple of it, and the padding belongs
            to the value. Other types take no alignment: their buffers start at multiples of 64 in any case.
        metadata: further key-value pairs.
    """

    name: str
    type: str
    nullable: bool = False
    alignment: int = 1
    metadata: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        data_type = self.data_type
        object.__setattr__(self, "type", str(data_type))
        if self.alignment not in (1 << shift for shift in range(13)):
            raise InvalidArgumentError(
                f"column {self.name!r}: alignment {self.alignment} is not a power of two up to 4096"
            )
        if self.alignment > 1 and data_type.kind not in ("binary", "large_binary"):
            raise InvalidArgumentError(
                f"column {self.name!r} of type {self.type}: only binary can be aligned; leave alignment 1"
            )

    @property
    def data_type(self) -> DataType:
        """The parsed type."""
        return DataType.parse(self.type)
