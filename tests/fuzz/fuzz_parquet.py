"""Opens Parquet weight files of schema V1 and V2 and reads all tensors, under libFuzzer.

    python -m tests.fuzz.fuzz_parquet build/fuzz/tests/fuzz/libpython_driver.so build/fuzz/corpus/fuzz_parquet

Forms of an input, by its first byte: 0, a whole file; 1, page headers and what lies between them. Anything
but sound values or errors of our own tree is a finding; so are pages that leave their column.
"""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import numpy as np
from tests.fuzz.python_target import fuzz

from arrowmind.errors import OptimizationError
from arrowmind.observe import configure_logging
from arrowmind.weights import parquet_footer, parquet_pages, parquet_source, parquet_thrift, tensor
from arrowmind.weights.formats import scales
from arrowmind.weights.parquet_source import ParquetWeights

__all__ = ["read"]

_MODULES = (parquet_source, parquet_footer, parquet_pages, parquet_thrift, tensor, scales)
_descriptor = -1


def _as_file(data: bytes) -> Path:
    """The path of a file in memory with this content; the next call replaces it."""
    global _descriptor
    if _descriptor < 0:
        _descriptor = os.memfd_create("fuzz")
    os.ftruncate(_descriptor, len(data))
    os.pwrite(_descriptor, data, 0)
    return Path(f"/proc/self/fd/{_descriptor}")


def read_file(data: bytes) -> None:
    with ParquetWeights.open(_as_file(data)) as weights:
        for name in weights.names():
            spec = weights.spec(name)
            found = weights.tensor(name)
            values = found.values() if spec.grid is None else found.grid_codes().values()
            if values.size != int(np.prod(spec.shape)):
                raise AssertionError(f"{name} has {values.size} values, its shape is {spec.shape}")


def read_pages(data: bytes) -> None:
    stored = 0
    for page in parquet_pages.read_pages(io.BytesIO(data), 0, len(data), "fuzz"):
        stored += page.stored
        if min(page.unpacked, page.stored, page.values) < 0 or stored > len(data):
            raise AssertionError(f"{page} in {len(data)} bytes")


def read(data: bytes) -> None:
    """Reads an input of either form."""
    (read_pages if data[:1] == b"\1" else read_file)(data[1:])


if __name__ == "__main__":
    configure_logging("error")
    sys.exit(fuzz(Path(sys.argv[1]), read, _MODULES, (OptimizationError,), sys.argv[2:]))
