"""Arrow IPC files without pyarrow: a native mapped reader, a streaming writer, atomic publication."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from arrowmind.columnar.fields import DataType, Field
from arrowmind.columnar.interchange import from_arrow
from arrowmind.columnar.publication import publish, publish_bytes, sweep_temporary, sync_folder
from arrowmind.columnar.reader import ArrowFile, Batch, BinaryColumn, crc32c

if TYPE_CHECKING:
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
    "sync_folder",
]

# An engine only reads: the writer is imported when it is asked for.
_HOMES = {"ArrowWriter": "writer", "Deferred": "writer"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
