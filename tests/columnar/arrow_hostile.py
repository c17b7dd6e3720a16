"""Tools for damaged files: read everything a file offers, and patch a file in place."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind.columnar import ArrowFile, Batch, Field
from arrowmind.errors import OptimizationError

if TYPE_CHECKING:
    from pathlib import Path

TEXT = ("utf8", "large_utf8")


def read_column(batch: Batch, field: Field) -> Any:
    """Touches every value, so that one outside the file would fault."""
    kind = field.data_type.kind
    if kind in TEXT:
        return batch.strings(field.name), binary_values(batch, field)
    if field.data_type.is_variable:
        return binary_values(batch, field)
    if kind == "list":
        return batch.lists(field.name)
    return np.array(batch.numbers(field.name, allow_nulls=True)).tobytes(), batch.validity(field.name)


def binary_values(batch: Batch, field: Field) -> list[tuple[bytes, bool]]:
    column = batch.binary(field.name)
    return [(bytes(column[i]), column.is_null(i)) for i in range(len(column))]


def read_everything(path: Path) -> int:
    """Returns how many columns were read; errors of ours end a column, others pass through."""
    count = 0
    with ArrowFile.open(path) as file:
        for i in range(file.num_batches):
            try:
                batch = file.batch(i)
            except OptimizationError:
                continue
            for field in file.fields:
                try:
                    read_column(batch, field)
                    count += 1
                except OptimizationError:
                    pass
            with contextlib.suppress(OptimizationError):
                batch.__arrow_c_array__()
    return count


class Patch:
    """Writes bytes over a file in place and, at the end of the block, puts the old ones back."""

    def __init__(self, path: Path, offset: int, data: bytes) -> None:
        self.path, self.offset, self.data = path, offset, data
        self.descriptor = os.open(path, os.O_RDWR)

    def __enter__(self) -> Patch:
        self.before = os.pread(self.descriptor, len(self.data), self.offset)
        os.pwrite(self.descriptor, self.data, self.offset)
        return self

    def __exit__(self, *_: object) -> None:
        os.pwrite(self.descriptor, self.before, self.offset)
        os.close(self.descriptor)
