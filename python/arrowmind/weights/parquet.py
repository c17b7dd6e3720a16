"""Parquet schemas V1 and V2, the interchange form (docs/formats/parquet-v1-v2.md).

::

    V1  layer_name, weight_name utf8; weight_data list<float16 or float32>; shape list<int32>
    V2  V1's columns with weight_data list<int8>, and quant_type utf8; scales list<float32>;
        zero_points list<int8>; quant_axis int32; and, in files of ours, activation utf8, and for
        tensors on a grid group_size int32; scale_type, zero_type utf8; outer_scales list<float32>

Elements are row-major. V2 holds floats as their little-endian bytes, and codes of any width a byte each.
Scales of a grid are what their stored form stands for, before outer scales. One row group per tensor.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from arrowmind.columnar import publish
from arrowmind.errors import WeightError
from arrowmind.weights.formats import number_type
from arrowmind.weights.formats.scales import decode_scales
from arrowmind.weights.schema import DOCUMENTS

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    import pyarrow as pa

    from arrowmind.weights.source import WeightSource
    from arrowmind.weights.tensor import Tensor

__all__ = ["DOCUMENT_PREFIX", "Version", "write_parquet"]

Version = Literal[1, 2]

DOCUMENT_PREFIX = "arrowmind."
"""Before the names of the JSON documents in the file's key-value metadata."""


def write_parquet(
    source: WeightSource,
    path: str | os.PathLike[str],
    *,
    version: Version = 2,
    quant_type: str | None = None,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Writes all tensors of ``source`` to a Parquet file, one tensor in memory at a time.

    Args:
        source: where the tensors are.
        path: the file; it appears whole or not at all.
        version: 1 for floats, 2 for any type.
        quant_type: of V1's values, ``fp16`` or ``fp32``; None takes the narrower one that loses nothing.
        progress: called with the bytes of each tensor written.

    Raises:
        WeightError: V1 cannot hold these tensors.
        StorageError: there is no room, or the folder cannot be written.
    """
    import pyarrow.parquet as pq  # noqa: PLC0415  (heavy, conversion only)

    kind = _v1_type(source, quant_type) if version == 1 else ""
    schema = _schema(version, kind).with_metadata(_metadata(source))
    with publish(path) as file:
        options: dict[str, Any] = {
            "compression": "zstd",
            "use_dictionary": version == 2,  # 8-bit indices instead of the 32 bits of a plain int8
            "write_page_checksum": True,
        }
        with pq.ParquetWriter(file, schema, **options) as writer:
            for name in source.names():
                tensor = source.tensor(name)
                row = _v1_row(tensor, kind) if version == 1 else _v2_row(tensor)
                writer.write_table(_table(row, schema), row_group_size=1)
                if progress is not None:
                    progress(tensor.spec.codes_bytes)


def _v1_type(source: WeightSource, wanted: str | None) -> str:
    present = {source.spec(name).quant_type for name in source.names()}
    if present - {"fp16", "fp32", "bf16"}:
        raise WeightError(
            f"{source.path}: holds {', '.join(sorted(present))}; Parquet V1 holds floats: write version 2"
        )
    if wanted is not None and wanted not in ("fp16", "fp32"):
        raise WeightError(f"Parquet V1 cannot hold {wanted!r}; use fp16 or fp32")
    return wanted or ("fp16" if present == {"fp16"} else "fp32")


def _schema(version: Version, kind: str) -> pa.Schema:
    import pyarrow as pa  # noqa: PLC0415

    data = pa.int8() if version == 2 else {"fp16": pa.float16(), "fp32": pa.float32()}[kind]
    fields = [
        ("layer_name", pa.string()),
        ("weight_name", pa.string()),
        ("weight_data", pa.list_(data)),
        ("shape", pa.list_(pa.int32())),
    ]
    if version == 2:
        fields += [
            ("quant_type", pa.string()),
            ("scales", pa.list_(pa.float32())),
            ("zero_points", pa.list_(pa.int8())),
            ("quant_axis", pa.int32()),
            ("activation", pa.string()),
            ("group_size", pa.int32()),
            ("scale_type", pa.string()),
            ("zero_type", pa.string()),
            ("outer_scales", pa.list_(pa.float32())),
        ]
    return pa.schema(fields)


def _metadata(source: WeightSource) -> dict[str, str]:
    documents = {name: source.documents.get(name) for name in DOCUMENTS}
    return {
        DOCUMENT_PREFIX + name: json.dumps(value, ensure_ascii=False, sort_keys=True)
        for name, value in documents.items()
        if value
    }


def _table(row: dict[str, Any], schema: pa.Schema) -> pa.Table:
    import pyarrow as pa  # noqa: PLC0415

    columns = []
    for field in schema:
        value = row[field.name]
        if isinstance(value, np.ndarray):
            offsets = pa.array([0, value.size], pa.int32())
            columns.append(pa.ListArray.from_arrays(offsets, pa.array(value, field.type.value_type)))
        else:
            columns.append(pa.array([value], field.type))
    return pa.Table.from_arrays(columns, schema=schema)


def _v1_row(tensor: Tensor, kind: str) -> dict[str, Any]:
    values = (tensor.to_float32() if tensor.spec.quant_type == "bf16" else tensor.values()).reshape(-1)
    dtype = number_type(kind).dtype
    with np.errstate(over="ignore"):
        data = values.astype(dtype, copy=False)
    if not np.isfinite(data).all():
        raise WeightError(f"tensor {tensor.spec.name!r}: a value does not fit {kind}; use fp32")
    spec = tensor.spec
    return {
        "layer_name": spec.layer_name,
        "weight_name": spec.weight_name,
        "weight_data": data,
        "shape": list(spec.shape),
    }


def _v2_row(tensor: Tensor) -> dict[str, Any]:
    spec = tensor.spec
    if spec.grid is not None:
        return _grid_row(tensor)
    entries = 1 if spec.quant_axis == -1 else spec.rows
    scales = np.empty(0, np.float32) if tensor.scales is None else tensor.scales[:entries]
    zeros = np.zeros(scales.size) if tensor.zero_points is None else tensor.zero_points[:entries]
    return {
        "layer_name": spec.layer_name,
        "weight_name": spec.weight_name,
        "weight_data": np.asarray(tensor.values(), order="C").reshape(-1).view(np.int8),
        "shape": list(spec.shape),
        "quant_type": spec.quant_type,
        "scales": scales,
        "zero_points": zeros.astype(np.int8),
        "quant_axis": spec.quant_axis,
        "activation": spec.activation,
        "group_size": -1,
        "scale_type": "",
        "zero_type": "",
        "outer_scales": np.empty(0, np.float32),
    }


def _grid_row(tensor: Tensor) -> dict[str, Any]:
    spec, matrix = tensor.spec, tensor.grid_codes()
    none = np.empty(0, np.float32)
    zeros = np.empty(0, np.int8) if matrix.zeros is None else matrix.zeros.view(np.int8).reshape(-1)
    return {
        "layer_name": spec.layer_name,
        "weight_name": spec.weight_name,
        "weight_data": matrix.codes.reshape(-1).view(np.int8),
        "shape": list(spec.shape),
        "quant_type": spec.quant_type,
        "scales": decode_scales(spec.scale_type, matrix.scales, None).reshape(-1),
        "zero_points": zeros,
        "quant_axis": spec.quant_axis,
        "activation": spec.activation,
        "group_size": spec.group_size,
        "scale_type": spec.scale_type,
        "zero_type": spec.zero_type,
        "outer_scales": none if matrix.outer is None else matrix.outer,
    }
