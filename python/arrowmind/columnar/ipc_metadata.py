"""Flatbuffers of the Arrow IPC format, built without generated code.

Slots and union numbers are those of Schema.fbs, Message.fbs and File.fbs of the Arrow format. Imported only
when a file is written: reading needs no flatbuffers package.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import flatbuffers

from arrowmind.columnar.fields import ALIGNMENT_KEY, DataType, Field

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["Block", "footer", "record_batch_message", "schema_message"]

_METADATA_V5 = 4
_HEADER_SCHEMA = 1
_HEADER_RECORD_BATCH = 3
_MICROSECOND = 2
_INTS = {f"{sign}int{bits}": (bits, not sign) for sign in ("", "u") for bits in (8, 16, 32, 64)}
_FLOATS = {"float16": 0, "float32": 1, "float64": 2}
_TYPE_NUMBERS = {
    **dict.fromkeys(_INTS, 2),
    **dict.fromkeys(_FLOATS, 3),
    "binary": 4,
    "utf8": 5,
    "bool": 6,
    "timestamp": 10,
    "list": 12,
    "fixed_size_binary": 15,
    "fixed_size_list": 16,
    "large_binary": 19,
    "large_utf8": 20,
}


@dataclass(frozen=True)
class Block:
    """Where a batch lies: file offset, bytes of metadata with its prefix, bytes of body."""

    offset: int
    metadata_bytes: int
    body_bytes: int


def schema_message(fields: Sequence[Field], metadata: Mapping[str, str]) -> bytes:
    """The Message that carries the schema."""
    builder = flatbuffers.Builder(1024)
    return _message(builder, _HEADER_SCHEMA, _schema(builder, fields, metadata), 0)


def record_batch_message(
    rows: int, nodes: Sequence[tuple[int, int]], buffers: Sequence[tuple[int, int]], body_bytes: int
) -> bytes:
    """The Message of one batch.

    Args:
        rows: length of the batch.
        nodes: (length, null count) per column, depth first.
        buffers: (offset in the body, bytes) per buffer, in Arrow's order.
        body_bytes: size of the body.
    """
    builder = flatbuffers.Builder(1024)
    node_vector = _pairs(builder, nodes)
    buffer_vector = _pairs(builder, buffers)
    builder.StartObject(5)
    builder.PrependInt64Slot(0, rows, 0)
    builder.PrependUOffsetTRelativeSlot(1, node_vector, 0)
    builder.PrependUOffsetTRelativeSlot(2, buffer_vector, 0)
    return _message(builder, _HEADER_RECORD_BATCH, builder.EndObject(), body_bytes)


def footer(
    fields: Sequence[Field],
    metadata: Mapping[str, str],
    blocks: Sequence[Block],
    own_metadata: Mapping[str, str] | None = None,
) -> bytes:
    """The Footer: the schema once more, the place of every batch, metadata of its own."""
    builder = flatbuffers.Builder(1024)
    schema = _schema(builder, fields, metadata)
    own = _key_values(builder, own_metadata) if own_metadata else 0
    builder.StartVector(24, len(blocks), 8)
    for block in reversed(blocks):
        builder.Prep(8, 24)
        builder.PrependInt64(block.body_bytes)
        builder.Pad(4)
        builder.PrependInt32(block.metadata_bytes)
        builder.PrependInt64(block.offset)
    block_vector = builder.EndVector()
    builder.StartObject(5)
    builder.PrependInt16Slot(0, _METADATA_V5, 0)
    builder.PrependUOffsetTRelativeSlot(1, schema, 0)
    builder.PrependUOffsetTRelativeSlot(3, block_vector, 0)
    builder.PrependUOffsetTRelativeSlot(4, own, 0)
    return _finish(builder, builder.EndObject())


def _message(builder: Any, header_type: int, header: int, body_bytes: int) -> bytes:
    builder.StartObject(5)
    builder.PrependInt64Slot(3, body_bytes, 0)
    builder.PrependUOffsetTRelativeSlot(2, header, 0)
    builder.PrependInt16Slot(0, _METADATA_V5, 0)
    builder.PrependUint8Slot(1, header_type, 0)
    return _finish(builder, builder.EndObject())


def _finish(builder: Any, root: int) -> bytes:
    builder.Finish(root)
    return bytes(builder.Output())


def _pairs(builder: Any, pairs: Sequence[tuple[int, int]]) -> int:
    builder.StartVector(16, len(pairs), 8)
    for first, second in reversed(pairs):
        builder.Prep(8, 16)
        builder.PrependInt64(second)
        builder.PrependInt64(first)
    end: int = builder.EndVector()
    return end


def _offsets(builder: Any, offsets: Sequence[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    end: int = builder.EndVector()
    return end


def _schema(builder: Any, fields: Sequence[Field], metadata: Mapping[str, str]) -> int:
    field_vector = _offsets(builder, [_field(builder, field) for field in fields])
    metadata_vector = _key_values(builder, metadata)
    builder.StartObject(4)
    builder.PrependUOffsetTRelativeSlot(1, field_vector, 0)
    builder.PrependUOffsetTRelativeSlot(2, metadata_vector, 0)
    end: int = builder.EndObject()
    return end


def _key_values(builder: Any, metadata: Mapping[str, str]) -> int:
    entries = []
    for key, value in metadata.items():
        key_offset = builder.CreateString(key)
        value_offset = builder.CreateString(value)
        builder.StartObject(2)
        builder.PrependUOffsetTRelativeSlot(0, key_offset, 0)
        builder.PrependUOffsetTRelativeSlot(1, value_offset, 0)
        entries.append(builder.EndObject())
    return _offsets(builder, entries)


def _field(builder: Any, field: Field) -> int:
    metadata = dict(field.metadata)
    if field.alignment > 1:
        metadata[ALIGNMENT_KEY] = str(field.alignment)
    return _field_table(builder, field.name, field.data_type, metadata, nullable=field.nullable)


def _field_table(
    builder: Any, name: str, data_type: DataType, metadata: Mapping[str, str], *, nullable: bool
) -> int:
    name_offset = builder.CreateString(name)
    type_offset = _TYPE_WRITERS.get(data_type.kind, _plain_type)(builder, data_type)
    children = [data_type.child] if data_type.child else []
    child_offsets = [_field_table(builder, "item", child, {}, nullable=False) for child in children]
    child_vector = _offsets(builder, child_offsets)
    metadata_vector = _key_values(builder, metadata)
    builder.StartObject(7)
    builder.PrependUOffsetTRelativeSlot(0, name_offset, 0)
    builder.PrependUOffsetTRelativeSlot(3, type_offset, 0)
    builder.PrependUOffsetTRelativeSlot(5, child_vector, 0)
    builder.PrependUOffsetTRelativeSlot(6, metadata_vector, 0)
    builder.PrependBoolSlot(1, nullable, False)
    builder.PrependUint8Slot(2, _TYPE_NUMBERS[data_type.kind], 0)
    end: int = builder.EndObject()
    return end


def _plain_type(builder: Any, _data_type: DataType) -> int:
    builder.StartObject(0)
    end: int = builder.EndObject()
    return end


def _int_type(builder: Any, data_type: DataType) -> int:
    bits, is_signed = _INTS[data_type.kind]
    builder.StartObject(2)
    builder.PrependInt32Slot(0, bits, 0)
    builder.PrependBoolSlot(1, is_signed, False)
    end: int = builder.EndObject()
    return end


def _float_type(builder: Any, data_type: DataType) -> int:
    builder.StartObject(1)
    builder.PrependInt16Slot(0, _FLOATS[data_type.kind], 0)
    end: int = builder.EndObject()
    return end


def _timestamp_type(builder: Any, data_type: DataType) -> int:
    timezone = builder.CreateString(data_type.timezone) if data_type.timezone else 0
    builder.StartObject(2)
    builder.PrependInt16Slot(0, _MICROSECOND, 0)
    builder.PrependUOffsetTRelativeSlot(1, timezone, 0)
    end: int = builder.EndObject()
    return end


def _width_type(builder: Any, data_type: DataType) -> int:
    builder.StartObject(1)
    builder.PrependInt32Slot(0, data_type.width, 0)
    end: int = builder.EndObject()
    return end


_TYPE_WRITERS: dict[str, Callable[[Any, DataType], int]] = {
    **dict.fromkeys(_INTS, _int_type),
    **dict.fromkeys(_FLOATS, _float_type),
    "timestamp": _timestamp_type,
    "fixed_size_binary": _width_type,
    "fixed_size_list": _width_type,
}
