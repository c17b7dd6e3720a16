"""What a quantised model holds: each tensor of the original on its grid, in its table type, or as a float."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from arrowmind.observe import get_logger
from arrowmind.quantize.config import QuantizationConfig, matches
from arrowmind.quantize.matrix.codes import codes_of
from arrowmind.quantize.matrix.feedback import round_plainly
from arrowmind.quantize.ptq import fit
from arrowmind.quantize.scheme import Quantized
from arrowmind.weights.formats import Grid, GridCodes
from arrowmind.weights.roles import input_scale_name, is_like_a_table, is_router, role_of
from arrowmind.weights.tensor import Tensor, float_tensor, grid_tensor, int8_tensor

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from arrowmind.quantize.methods.base import Codes, Job, Outcome
    from arrowmind.weights.tensor_spec import TensorSpec

__all__ = ["bytes_left_for_matrices", "stored_tensors", "table_codes", "table_type", "table_values"]

_log = get_logger("arrowmind.quantize")

# Without calibration, only matrices that meet the output of attention take int8 activations: an average of
# values, without the outliers of norms and GELU. Measured on all-MiniLM-L6-v2, 180 texts, mean cosine: int8
# everywhere with input scales 0.9994; without them, 0.9979 for query, key and value alone.
_TOLERANT = ("*.attention.output.dense", "*.out_proj", "*.o_proj")
# Zero points take a tenth of the error of four levels away (all-MiniLM-L6-v2: 0.330 to 0.297), for 0.25 bits.
_TABLE_GRIDS = {kind: Grid(kind, 32, "u8", zero_points=True) for kind in ("int4", "int2")}
_TABLE_BLOCK = 2048
_VECTOR_BYTES = {"fp32": 4, "fp16": 2, "int8": 1}  # of an element; of int8 a scale and a zero point beside
# Tables with fewer rows (positions, token types) cost little as fp16, and every token meets them.
_SMALL_TABLE_ROWS = 2048


def stored_tensors(job: Job, outcome: Outcome) -> Iterator[Tensor]:
    """All tensors of the quantised model, in the order of the original, then the scales of inputs."""
    names = job.weights.names()
    total, done = sum(job.weights.spec(name).codes_bytes for name in names), 0
    for name in names:
        yield _stored(job, outcome, name)
        done += job.weights.spec(name).codes_bytes
        job.progress(done, total, "writing")
    for name, entering in job.inputs.items():
        if entering.scale is not None:
            yield float_tensor(input_scale_name(name), entering.scale)


def bytes_left_for_matrices(job: Job) -> int:
    """Bytes that a budget leaves for matrices on grids.

    A budget of bytes is for all tensors, one of bits for all but tables and heads: for what
    :func:`arrowmind.quantize.explain` calls ``without_tables``. What is on no grid is paid for first.
    """
    config, names = job.config, job.weights.names()
    specs = [job.weights.spec(name) for name in names]
    if config.bits_budget is not None:
        specs = [spec for spec in specs if not is_like_a_table(spec.name, spec.shape)]
    scales = sum(len(entering.scale) for entering in job.inputs.values() if entering.scale is not None)
    others = 4 * scales + sum(_bytes_of(spec, config) for spec in specs if spec.name not in job.grids)
    if config.bits_budget is None:
        return int(config.size_budget or 0) - others
    count = scales + sum(math.prod(spec.shape) for spec in specs)
    return int(config.bits_budget * count / 8) - others


def table_type(job: Job, outcome: Outcome, name: str) -> str:
    """The type of the codes of a table; empty for one in floating point, and for other tensors."""
    spec = job.weights.spec(name)
    is_coded = is_like_a_table(name, spec.shape) and not _float_type(spec, job.config)
    if not is_coded or name in outcome.floats:
        return ""
    return outcome.tables.get(name, job.config.table_type)


def table_values(job: Job, outcome: Outcome, name: str) -> npt.NDArray[np.float32]:
    """What the codes of a table stand for, float32 [rows, k]."""
    values = _values(job, outcome, name)
    return _table(name, values, table_type(job, outcome, name), job.config).to_float32()


def table_codes(job: Job, name: str) -> GridCodes:
    """The codes that a table of a type with groups is stored as, if it does not learn."""
    return _rows_on_grid(job.matrix(name), _TABLE_GRIDS[job.config.table_type])


def _values(job: Job, outcome: Outcome, name: str) -> npt.NDArray[np.float32]:
    """What becomes of a matrix or table before it is rounded."""
    learned = outcome.vectors.get(name)
    return job.matrix(name) if learned is None else learned


def _stored(job: Job, outcome: Outcome, name: str) -> Tensor:
    if name in outcome.codes:
        return _coded(job, name, outcome.codes[name])
    spec = job.weights.spec(name)
    if is_router(name):
        return _verified(job.weights.tensor(name)).for_kernels()
    role = role_of(name, spec.shape)
    if role == "vector":
        vector = outcome.vectors.get(name)
        values = _verified(job.weights.tensor(name)).to_float32() if vector is None else vector
        return _vector(name, values, job.config.vector_type)
    floating = outcome.floats.get(name) or _float_type(spec, job.config)
    if floating:
        return _as_float(name, _values(job, outcome, name), floating)
    return _table(name, _values(job, outcome, name), table_type(job, outcome, name), job.config)


def _coded(job: Job, name: str, codes: Codes) -> Tensor:
    config = job.config
    if not isinstance(codes, Quantized):
        return grid_tensor(
            name, codes, activation="int8" if config.activation == "auto" else config.activation
        )
    return int8_tensor(
        name,
        codes.codes,
        codes.scales,
        codes.zero_points,
        quant_axis=0 if config.per_channel else -1,
        activation=_activation(job, name),
    )


def _activation(job: Job, name: str) -> str:
    """How activations meet int8 codes of a row."""
    if job.config.activation != "auto":
        return job.config.activation
    evened_out = job.is_scaled(name) and job.config.quant_type == "int8"
    return "int8" if evened_out or matches(name, _TOLERANT) else "int16"


def _float_type(spec: TensorSpec, config: QuantizationConfig) -> str:
    """The type of a matrix or table that stays in floating point; empty for others."""
    if config.keeps(spec.name):
        return config.keep_type
    is_small = is_like_a_table(spec.name, spec.shape) and spec.shape[0] < _SMALL_TABLE_ROWS
    return "fp16" if is_small else ""


def _bytes_of(spec: TensorSpec, config: QuantizationConfig) -> int:
    """Bytes of a tensor that is on no grid of the method."""
    count = math.prod(spec.shape)
    if is_router(spec.name):
        return spec.codes_bytes
    if role_of(spec.name, spec.shape) == "vector":
        return _VECTOR_BYTES[config.vector_type] * count + (8 if config.vector_type == "int8" else 0)
    floating = _float_type(spec, config)
    if floating:
        return count * (4 if floating == "fp32" else 2)
    if config.table_type in _TABLE_GRIDS:
        return int(_TABLE_GRIDS[config.table_type].bits_per_weight(*spec.shape) * count / 8)
    return count + 4 * spec.shape[0]


def _table(name: str, values: npt.NDArray[np.float32], kind: str, config: QuantizationConfig) -> Tensor:
    if kind in _TABLE_GRIDS:
        activation = "fp32" if config.activation == "fp32" else "int8"  # of an output head
        return grid_tensor(name, _rows_on_grid(values, _TABLE_GRIDS[kind]), activation=activation)
    # Tables are symmetric in any case: a zero point per row gains them nothing measurable.
    symmetric = QuantizationConfig(
        symmetric=True, per_channel=config.per_channel, range_search=config.range_search
    )
    quantized = fit(values, symmetric)
    axis = 0 if config.per_channel else -1
    return int8_tensor(name, quantized.codes, quantized.scales, quant_axis=axis)


def _rows_on_grid(table: npt.NDArray[np.float32], grid: Grid) -> GridCodes:
    """A table on a grid, rounded in the best ranges, some rows at a time."""
    weight = np.ones(table.shape[1], np.float32)
    blocks = [
        codes_of(round_plainly(np.ascontiguousarray(table[at : at + _TABLE_BLOCK].T), grid, weight))
        for at in range(0, len(table), _TABLE_BLOCK)
    ]
    parts = {
        name: np.concatenate([getattr(block, name) for block in blocks])
        for name in ("codes", "scales", "zeros", "outer")
    }
    return GridCodes(grid, **parts)


def _vector(name: str, values: npt.NDArray[np.float32], kind: str) -> Tensor:
    if kind != "int8":
        return _as_float(name, values, kind)
    codes = fit(values, QuantizationConfig(symmetric=False, per_channel=False))
    return int8_tensor(name, codes.codes, codes.scales, codes.zero_points, quant_axis=-1)


def _as_float(name: str, values: npt.NDArray[np.float32], quant_type: str) -> Tensor:
    with np.errstate(over="ignore"):
        half = values.astype(np.float16)
    fits = quant_type == "fp16" and np.isfinite(half).all()
    if quant_type == "fp16" and not fits:
        _log.warning("a tensor does not fit fp16 and stays fp32", tensor=name)
    return float_tensor(name, half if fits else values).for_kernels()


def _verified(tensor: Tensor) -> Tensor:
    tensor.verify()
    return tensor
