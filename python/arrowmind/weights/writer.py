"""Writes weights.arrow, one tensor in memory at a time."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from arrowmind.columnar import ArrowWriter, Deferred, publish
from arrowmind.errors import WeightError
from arrowmind.weights.file import WeightFile
from arrowmind.weights.manifest import refresh_entry
from arrowmind.weights.schema import FIELDS, encode_metadata
from arrowmind.weights.tensor import BUFFERS

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Mapping

    from arrowmind.weights.tensor import Checksums, Tensor
    from arrowmind.weights.tensor_spec import TensorSpec

__all__ = ["rewrite_documents", "write_weights"]

_PIECE_BYTES = 4 << 20


def write_weights(
    path: str | os.PathLike[str], tensors: Iterable[Tensor], documents: Mapping[str, Any] | None = None
) -> None:
    """Writes a native weight file; it appears whole or not at all.

    Codes go through an unnamed file beside ``path`` first, because a checksum stands before what it sums.

    Args:
        path: the file.
        tensors: in the layout that kernels read; consumed one by one.
        documents: JSON objects ``model``, ``quantization``, ``precision``; read after the last tensor,
            so that what is found on the way can be added.

    Raises:
        WeightError: two tensors share a name.
        StorageError: there is no room, or the folder cannot be written.
    """
    with publish(path) as file, tempfile.TemporaryFile(dir=Path(path).parent) as spool:
        rows = _Rows(spool)
        for tensor in tensors:
            rows.add(tensor)
        metadata = encode_metadata(documents or {}, rows.specs, rows.checksums)
        with ArrowWriter(file, FIELDS, metadata, hash_tree=True) as writer:
            writer.write_batch(rows.columns())


def rewrite_documents(path: str | os.PathLike[str], documents: Mapping[str, Any]) -> None:
    """Replaces JSON objects of a weight file; tensors and other objects stay as they are.

    A manifest.json beside it that names the file is brought up to date, after it.

    Args:
        path: a weights.arrow file.
        documents: the new objects, by name.
    """
    with WeightFile.open(path) as weights:
        tensors = (weights.tensor(name) for name in weights.names())
        write_weights(path, tensors, {**weights.documents, **documents})
    refresh_entry(Path(path))


class _Rows:
    """Small values of all tensors in memory, codes in a file."""

    def __init__(self, spool: IO[bytes]) -> None:
        self._spool = spool
        self._position = 0
        self._codes: list[Deferred] = []
        self._small: dict[str, list[Any]] = {name: [] for name in BUFFERS[1:]}
        self._names: set[str] = set()
        self.specs: list[TensorSpec] = []
        self.checksums: list[Checksums] = []

    def add(self, tensor: Tensor) -> None:
        tensor.spec.check()
        if tensor.spec.name in self._names:
            raise WeightError(f"tensor {tensor.spec.name!r} comes twice; rename or drop one")
        self._names.add(tensor.spec.name)
        self.specs.append(tensor.spec)
        self.checksums.append(tensor.checksums())
        for name, values in self._small.items():
            buffer = getattr(tensor, name)
            values.append(b"" if buffer is None else np.array(buffer))
        self._codes.append(self._keep(tensor))

    def columns(self) -> dict[str, Any]:
        specs = self.specs
        texts = (
            "name",
            "layer_name",
            "weight_name",
            "quant_type",
            "layout",
            "activation",
            "scale_type",
            "zero_type",
        )
        return {
            **{text: [getattr(spec, text) for spec in specs] for text in texts},
            "shape": [list(spec.shape) for spec in specs],
            "quant_axis": np.array([spec.quant_axis for spec in specs], dtype=np.int32),
            "group_size": np.array([spec.group_size for spec in specs], dtype=np.int32),
            "codes_bytes": np.array([spec.codes_bytes for spec in specs], dtype=np.int64),
            "checksums": np.array(self.checksums, dtype=np.uint32).reshape(-1, len(BUFFERS)),
            **self._small,
            "codes": self._codes,
        }

    def _keep(self, tensor: Tensor) -> Deferred:
        start, size = self._position, tensor.codes.size
        for begin in range(0, size, _PIECE_BYTES):
            self._spool.write(tensor.codes[begin : begin + _PIECE_BYTES].data)
        self._position += size
        return Deferred(size, lambda: self._read(start, size))

    def _read(self, start: int, size: int) -> Iterator[bytes]:
        self._spool.seek(start)
        while size:
            piece = self._spool.read(min(size, _PIECE_BYTES))
            if not piece:
                return
            size -= len(piece)
            yield piece
