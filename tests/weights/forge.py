"""Writes weight files that lie, with checksums to match, as a hostile author would."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind.columnar import ArrowWriter, Field, crc32c
from arrowmind.weights import TensorSpec
from arrowmind.weights.formats import pack
from arrowmind.weights.schema import FIELDS, encode_metadata
from arrowmind.weights.tensor import BUFFERS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SPECS = (
    TensorSpec("layer.weight", "int8", (18, 6), "n16k4", 0, "int16"),
    TensorSpec("layer.bias", "fp32", (18,)),
)


def forge(
    path: Path,
    *,
    spec: dict[str, Any] | None = None,
    columns: dict[str, Any] | None = None,
    metadata: dict[str, str] | None = None,
    fields: Sequence[Field] = FIELDS,
    batches: int = 1,
) -> Path:
    """A file of two tensors, sound but for what is given.

    Args:
        path: the file.
        spec: attributes of the first tensor to replace.
        columns: values of columns to replace.
        metadata: entries of the schema metadata to replace.
        fields: columns of the file.
        batches: how often to write the batch.
    """
    matrix = np.random.default_rng(1).integers(-127, 128, (18, 6)).astype(np.int8)
    sums = np.zeros(32, np.int32)
    sums[:18] = matrix.sum(axis=1)
    specs = (replace(SPECS[0], **(spec or {})), SPECS[1])
    values: dict[str, Any] = {
        name: [getattr(one, name) for one in specs]
        for name in (
            *("name", "layer_name", "weight_name", "quant_type", "layout", "activation", "quant_axis"),
            *("group_size", "scale_type", "zero_type"),
        )
    }
    values["shape"] = [list(one.shape) for one in specs]
    values["codes_bytes"] = [32 * 8, 18 * 4]
    values["codes"] = [pack("int8", "n16k4", matrix), np.ones(18, np.float32)]
    values["scales"] = [np.ones(32, np.float32), b""]
    values["zero_points"] = [np.zeros(32, np.float32), b""]
    values["sums"] = [sums, b""]
    values["outer_scales"] = [b"", b""]
    values.update(columns or {})
    sizes = values["codes_bytes"]
    found = [
        [_checksum(values[name][row], sizes[row] if name == "codes" else None) for name in BUFFERS]
        for row in range(2)
    ]
    values.setdefault("checksums", np.array(found, np.uint32))
    described = encode_metadata({}, specs, [tuple(row) for row in np.asarray(values["checksums"]).tolist()])
    with path.open("wb") as file, ArrowWriter(file, fields, {**described, **(metadata or {})}) as writer:
        for _ in range(batches):
            writer.write_batch({field.name: values.get(field.name, [0, 0]) for field in fields})
    return path


def _checksum(value: Any, size: int | None) -> int:
    data = bytes(value) if isinstance(value, bytes) else value.tobytes()
    return crc32c(data[: None if size is None else max(0, size)]) if data else 0
