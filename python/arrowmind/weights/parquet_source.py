"""Parquet files of schema V1 or V2 as a source of tensors; the presence of ``quant_type`` tells which."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind.errors import IntegrityError, WeightError
from arrowmind.observe import get_logger
from arrowmind.weights.formats import SCALE_TYPES, GridCodes, number_type
from arrowmind.weights.formats.grids import CODE_TYPES
from arrowmind.weights.formats.scales import restore_scales
from arrowmind.weights.parquet import DOCUMENT_PREFIX
from arrowmind.weights.parquet_footer import read_footer
from arrowmind.weights.parquet_pages import DICTIONARY, Page, read_pages
from arrowmind.weights.roles import join_name, role_of
from arrowmind.weights.schema import DOCUMENTS
from arrowmind.weights.source import WeightSource
from arrowmind.weights.tensor import Tensor, float_tensor, grid_tensor, int8_tensor
from arrowmind.weights.tensor_spec import TensorSpec

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    import numpy.typing as npt
    import pyarrow as pa

__all__ = ["ParquetWeights"]

_log = get_logger("arrowmind.weights")
_V1_COLUMNS = {"layer_name": "string", "weight_name": "string", "shape": "list<int32>"}
_V2_COLUMNS = {
    **_V1_COLUMNS,
    "quant_type": "string",
    "scales": "list<float>",
    "zero_points": "list<int8>",
    "quant_axis": "int32",
}
_OPTIONAL = {"activation": "string", "group_size": "int32", "scale_type": "string", "zero_type": "string"}
_V1_TYPES = {"halffloat": "fp16", "float": "fp32"}
_SLACK_BYTES = 1 << 20
# Of the small columns, which are read before it is known how much they should hold.
_MAX_ROWS = 1 << 20
_MAX_NAME_PAGE = 4 << 20
_MAX_NAME_COLUMN = 64 << 20
_MAX_NAME = 65_535
_MAX_RANK = 32
_BATCH_ROWS = 16


@dataclass(frozen=True)
class _Row:
    """A tensor and where it lies: its row group, and its place within it."""

    spec: TensorSpec
    group: int
    place: int


class ParquetWeights(WeightSource):
    """The tensors of a Parquet file, packed when asked for. Opening reads all columns but the data."""

    def __init__(self, path: Path) -> None:
        import pyarrow as pa  # noqa: PLC0415  (heavy, conversion only)
        import pyarrow.parquet as pq  # noqa: PLC0415

        self.path = path
        self._errors = (pa.ArrowException, OSError, ValueError)
        if not path.is_file():
            raise WeightError(f"{path} is missing; give a Parquet file of weights")
        try:
            self._size = path.stat().st_size
            self._groups = read_footer(path)
            self._file = pq.ParquetFile(path, page_checksum_verification=True)
            schema = self._file.schema_arrow
        except self._errors as error:
            raise IntegrityError(f"{path}: {error}; convert or copy it again") from error
        self.version = 2 if "quant_type" in schema.names else 1
        self.kind = f"parquet-v{self.version}"
        self._columns = _check_columns(schema, self.version, path)
        self._documents = self._read_documents(schema.metadata or {})
        self._rows = self._read_index(schema)
        self._last: tuple[int, pa.Table] | None = None
        _log.info("Parquet weights opened", path=str(path), schema_version=self.version)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> ParquetWeights:
        """Opens the file at ``path``.

        Raises:
            WeightError: the file is missing, or is no weight file of schema V1 or V2.
            IntegrityError: it is damaged.
        """
        return cls(Path(path))

    @property
    def documents(self) -> dict[str, dict[str, Any]]:  # noqa: D102
        return self._documents

    def names(self) -> list[str]:  # noqa: D102
        return list(self._rows)

    def spec(self, name: str) -> TensorSpec:  # noqa: D102
        return self._row(name).spec

    def tensor(self, name: str) -> Tensor:  # noqa: D102
        row = self._row(name)
        data = self._list(row, "weight_data")
        spec = row.spec
        if spec.grid is not None:
            return self._grid(row, data)
        kind = number_type(spec.quant_type)
        expected = int(np.prod(spec.shape, dtype=object)) * (1 if self.version == 1 else kind.dtype.itemsize)
        if data.size != expected:
            raise self._damaged(name, f"holds {data.size} values, {list(spec.shape)} needs {expected}")
        if not kind.coded:
            values = (data if self.version == 1 else data.view(kind.dtype)).reshape(spec.shape)
            return float_tensor(name, values).for_kernels()
        scales = self._list(row, "scales")
        zero_points = self._list(row, "zero_points").astype(np.float32)
        entries = spec.rows if spec.quant_axis == 0 else 1
        if scales.size != entries or zero_points.size not in (0, entries):
            raise self._damaged(name, f"has {scales.size} scales, {zero_points.size} zeros, not {entries}")
        if not (np.isfinite(scales).all() and (scales >= 0).all()):
            raise self._damaged(name, "has a scale that is not a finite positive number")
        return int8_tensor(
            name,
            data.reshape(spec.shape),
            scales,
            zero_points if zero_points.size else None,
            quant_axis=spec.quant_axis,
            activation=spec.activation,
        )

    def _grid(self, row: _Row, data: npt.NDArray[Any]) -> Tensor:
        spec, grid = row.spec, row.spec.grid
        n, k = spec.shape
        if grid is None or data.size != n * k:
            raise self._damaged(spec.name, f"holds {data.size} codes, {list(spec.shape)} needs {n * k}")
        groups = grid.groups(k)
        wanted, zeros, outer = (
            self._list(row, column) for column in ("scales", "zero_points", "outer_scales")
        )
        kind = SCALE_TYPES[grid.scale_type]
        sizes = (wanted.size, zeros.size, outer.size)
        expected = (n * groups, n * groups * grid.zero_points, n * kind.outer)
        if sizes != expected:
            raise self._damaged(spec.name, f"has {sizes} scales, zeros and outer scales, not {expected}")
        if (codes := data.view(np.uint8)).size and grid.bits < 8 and codes.max() >= 1 << grid.bits:
            raise self._damaged(spec.name, f"has code {codes.max()}, which {grid.quant_type} has not")
        try:
            matrix = GridCodes(
                grid,
                codes.reshape(n, k),
                restore_scales(grid.scale_type, wanted.reshape(n, groups)),
                zeros.view(np.uint8).reshape(n, groups) if grid.zero_points else None,
                outer.astype(np.float32) if kind.outer else None,
            )
        except WeightError as error:
            raise self._damaged(spec.name, f"cannot be used: {error}") from error
        return grid_tensor(spec.name, matrix, activation=spec.activation)

    def close(self) -> None:  # noqa: D102
        self._last = None
        self._file.close()

    def _row(self, name: str) -> _Row:
        if name not in self._rows:
            raise self.missing(name)
        return self._rows[name]

    def _damaged(self, name: str, what: str) -> IntegrityError:
        return IntegrityError(f"{self.path}: tensor {name!r} {what}; convert or copy the file again")

    def _list(self, row: _Row, column: str) -> npt.NDArray[Any]:
        """One list of a row as an array; the row group last read is kept, for files that have only one."""
        if self._last is None or self._last[0] != row.group:
            self._last = None
            columns = ["weight_data", "scales", "zero_points"] if self.version == 2 else ["weight_data"]
            if "group_size" in self._columns:
                columns.append("outer_scales")
            self._check_size(row, columns)
            self._last = (row.group, self._read(row.group, columns))
        scalar = self._last[1].column(column)[row.place]
        if not scalar.is_valid or scalar.values.null_count:
            raise self._damaged(row.spec.name, f"lacks values in {column}")
        return np.asarray(scalar.values.to_numpy(zero_copy_only=False))

    def _check_size(self, row: _Row, columns: list[str]) -> None:
        """Refuses columns that would unpack to far more than their tensors have (a decompression bomb)."""
        rows = [other.spec for other in self._rows.values() if other.group == row.group]
        # Codes of a grid are a byte each here, their scales 4 bytes.
        expected = sum(
            int(np.prod(spec.shape)) + 5 * spec.scale_count if spec.grid else spec.codes_bytes
            for spec in rows
        )
        # An int8 takes 4 bytes as plain Parquet, and levels are below 1 bit each.
        limit = 8 * expected + _SLACK_BYTES
        claimed = self._groups[row.group].unpacked
        pages = [page for column in columns for page in self._pages(row.group, column)]
        claimed = max(claimed, sum(page.unpacked for page in pages))
        values = sum(page.values for page in pages)
        if not 0 <= claimed <= limit or values > expected + _SLACK_BYTES:
            raise self._damaged(
                row.spec.name, f"would unpack to {claimed} bytes, {values} values; {expected} are expected"
            )

    def _pages(self, group: int, column: str) -> Iterator[Page]:
        """Page headers of a column; nothing is unpacked."""
        for chunk in self._groups[group].chunks:
            if chunk.column != column:
                continue
            start, size = chunk.start, chunk.size
            if start < 4 or size < 0 or start + size > self._size:
                raise IntegrityError(
                    f"{self.path}: column {column} lies at [{start}, {start + size}) of {self._size} bytes; "
                    "copy it again"
                )
            with self.path.open("rb") as file:
                yield from read_pages(file, start, size, f"{self.path}: column {column}")

    def _check_index(self, group: int) -> None:
        """Bounds what the small columns unpack to."""
        rows = self._groups[group].rows
        for column in self._columns:
            pages = list(self._pages(group, column))
            most = (_MAX_RANK if column == "shape" else 1) * rows
            largest = max((page.unpacked for page in pages), default=0)
            values = sum(page.values for page in pages if page.kind != DICTIONARY)
            total = sum(page.unpacked for page in pages)
            if largest > _MAX_NAME_PAGE or total > _MAX_NAME_COLUMN or values > most:
                raise IntegrityError(
                    f"{self.path}: column {column} would unpack to {total} bytes, {values} values, for "
                    f"{rows} rows; convert or copy the file again"
                )

    def _read(self, group: int, columns: list[str]) -> pa.Table:
        try:
            table = self._file.read_row_group(group, columns=columns, use_threads=False)
        except self._errors as error:
            raise IntegrityError(f"{self.path}: {error}; convert or copy the file again") from error
        # A single column is not held to the row group's count by pyarrow.
        if table.num_rows != (rows := self._groups[group].rows):
            raise IntegrityError(
                f"{self.path}: {columns[0]} has {table.num_rows} rows in a row group of {rows}; "
                "convert or copy the file again"
            )
        return table

    def _read_index(self, schema: pa.Schema) -> dict[str, _Row]:
        v1_type = _V1_TYPES.get(str(schema.field("weight_data").type.value_type), "")
        rows: dict[str, _Row] = {}
        claimed = sum(group.rows for group in self._groups)
        if not 0 <= claimed <= _MAX_ROWS:
            raise IntegrityError(f"{self.path}: claims {claimed} tensors, at most {_MAX_ROWS} are read")
        for group in range(len(self._groups)):
            for place, values in enumerate(self._index_rows(group)):
                spec = _spec(values, v1_type, f"{self.path}: row {len(rows)}")
                if spec.name in rows:
                    raise self._damaged(spec.name, "is there more than once")
                rows[spec.name] = _Row(spec, group, place)
        return rows

    def _index_rows(self, group: int) -> Iterator[dict[str, Any]]:
        """The small values of a row group; few rows at a time, for names may share their bytes."""
        claimed = self._groups[group].rows
        if not 0 <= claimed <= _MAX_ROWS:
            raise IntegrityError(f"{self.path}: a row group claims {claimed} tensors; copy it again")
        self._check_index(group)
        try:
            for batch in self._file.iter_batches(
                _BATCH_ROWS, row_groups=[group], columns=self._columns, use_threads=False
            ):
                yield from batch.to_pylist()
        except self._errors as error:
            raise IntegrityError(f"{self.path}: {error}; convert or copy the file again") from error

    def _read_documents(self, metadata: dict[bytes, bytes]) -> dict[str, dict[str, Any]]:
        documents: dict[str, dict[str, Any]] = {}
        for name in DOCUMENTS:
            try:
                value = json.loads(metadata.get((DOCUMENT_PREFIX + name).encode(), b"{}"))
            except (ValueError, RecursionError) as error:
                raise IntegrityError(f"{self.path}: metadata {name!r} is not JSON ({error})") from error
            documents[name] = value if isinstance(value, dict) else {}
        return documents


def _check_columns(schema: pa.Schema, version: int, path: Path) -> list[str]:
    """Names of the small columns; raises WeightError unless the schema is V1 or V2."""
    needed = _V1_COLUMNS if version == 1 else _V2_COLUMNS
    found = {field.name: _type_name(field.type) for field in schema}
    data_types = [f"list<{name}>" for name in _V1_TYPES] if version == 1 else ["list<int8>"]
    wrong = [name for name, kind in needed.items() if found.get(name) != kind]
    if found.get("weight_data") not in data_types:
        wrong.append("weight_data")
    if "group_size" in found and version == 2 and found.get("outer_scales") != "list<float>":
        wrong.append("outer_scales")
    if len(found) != len(schema.names):
        raise WeightError(f"{path}: not a weight file: two columns have one name; convert the model again")
    if wrong:
        raise WeightError(
            f"{path}: not a weight file of schema V{version}: column {wrong[0]} is "
            f"{found.get(wrong[0], 'missing')}; convert the model again"
        )
    optional = [name for name, kind in _OPTIONAL.items() if version == 2 and found.get(name) == kind]
    return [name for name in needed if name not in ("scales", "zero_points")] + optional


def _type_name(kind: pa.DataType) -> str:
    import pyarrow.types as kinds  # noqa: PLC0415

    if kinds.is_list(kind) or kinds.is_large_list(kind):
        return f"list<{kind.value_type}>"
    return "string" if kinds.is_large_string(kind) else str(kind)


def _spec(values: dict[str, Any], v1_type: str, where: str) -> TensorSpec:
    shape = values["shape"]
    if values["weight_name"] is None or shape is None or None in shape:
        raise IntegrityError(f"{where} lacks a name or a shape; convert the model again")
    name = join_name(values["layer_name"] or "", values["weight_name"])
    if len(name) > _MAX_NAME:
        raise IntegrityError(f"{where} has a name of {len(name)} characters; convert the model again")
    spec = TensorSpec(name, values.get("quant_type", v1_type) or "", tuple(shape))
    try:
        if values.get("group_size") not in (None, -1):
            return _grid_spec(spec, values)
        kind = number_type(spec.quant_type)
        linear = role_of(name, spec.shape) == "linear"
        spec = replace(spec, layout=kind.packed if linear else "row")
        if kind.coded:
            axis = values["quant_axis"]
            activation = values.get("activation") or "int16"
            spec = replace(spec, quant_axis=axis, activation=activation if linear else "fp32")
        spec.check()
    except WeightError as error:
        raise IntegrityError(f"{where}: {error}") from error
    return spec


def _grid_spec(spec: TensorSpec, values: dict[str, Any]) -> TensorSpec:
    linear = role_of(spec.name, spec.shape) == "linear"
    code_type = CODE_TYPES.get(spec.quant_type)
    if code_type is None:
        raise WeightError(f"quant_type {spec.quant_type!r} has no grid; use {', '.join(CODE_TYPES)}")
    spec = replace(
        spec,
        layout=code_type.layout if linear else "row",
        quant_axis=values["quant_axis"],
        activation=(values.get("activation") or "int8") if linear else "fp32",
        group_size=values["group_size"],
        scale_type=values.get("scale_type") or "",
        zero_type=values.get("zero_type") or "",
    )
    spec.check()
    return spec
