"""Arrow IPC files without pyarrow: a native mapped reader, a streaming writer, atomic publication."""

from __future__ import annotations

from arrowmind.columnar.fields import DataType, Field
from arrowmind.columnar.interchange import from_arrow
from arrowmind.columnar.publication import publish, publish_bytes, sweep_temporary
from arrowmind.columnar.reader import ArrowFile, Batch, BinaryColumn, crc32c
from arrowmind.columnar.writer import ArrowWriter, Deferred

__all__ = [
    "ArrowFile",
    "ArrowWriter",
    "Batch",
    "BinaryColumn",
    "DataType",
    "Deferred",
    "Field",
    "crc32c",
    "from_arrow",
    "publish",
    "publish_bytes",
    "sweep_temporary",
]
