"""A tensor as the kernels read it: a description, packed codes, and one scale per output."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from arrowmind.columnar import crc32c
from arrowmind.errors import IntegrityError, WeightError
from arrowmind.weights.formats import (
    SCALE_TYPES,
    GridCodes,
    float_values,
    number_type,
    pack,
    row_sums,
    unpack,
)
from arrowmind.weights.roles import role_of
from arrowmind.weights.tensor_spec import TensorSpec

if TYPE_CHECKING:
    import numpy.typing as npt

    from arrowmind._native import HashTree

__all__ = ["BUFFERS", "Checksums", "Tensor", "float_tensor", "grid_tensor", "int8_tensor"]

BUFFERS = ("codes", "scales", "zero_points", "sums", "outer_scales")
"""Names of a tensor's buffers, in the order of its checksums."""

Checksums = tuple[int, int, int, int, int]
Buffers = tuple[
    "npt.NDArray[np.uint8]",
    "npt.NDArray[Any] | None",
    "npt.NDArray[Any] | None",
    "npt.NDArray[np.int32] | None",
    "npt.NDArray[np.float32] | None",
]


class Tensor:
    """A tensor with its buffers. Arrays are read-only and, from a weight file, views of its mapping.

    Attributes:
        spec: what it is.
        codes: uint8 [spec.codes_bytes], elements in ``spec.layout``.
        scales: float32 [n padded to 16] of int8, else None. Value = (code - zero point) * scale. On a grid:
            uint8, the bytes of ``spec.scale_count`` stored scales.
        zero_points: float32 [n padded to 16], whole numbers; None when symmetric. On a grid: uint8, stored.
        sums: int32 [n padded to 16], sum of each row's codes; packed int8 matrices on no grid only.
        outer_scales: float32, one per row, of grids whose scale type has them.
    """

    streamed: ClassVar[bool] = False
    """Whether its bytes are there only while an operator of a plan has asked for them."""

    __slots__ = (
        "_checksums",
        "_origin",
        "_tree",
        "_verified",
        "codes",
        "outer_scales",
        "scales",
        "spec",
        "sums",
        "zero_points",
    )

    def __init__(
        self,
        spec: TensorSpec,
        codes: npt.NDArray[np.uint8],
        scales: npt.NDArray[Any] | None = None,
        zero_points: npt.NDArray[Any] | None = None,
        sums: npt.NDArray[np.int32] | None = None,
        outer_scales: npt.NDArray[np.float32] | None = None,
        checksums: Checksums | None = None,
        origin: str = "memory",
        tree: HashTree | None = None,
    ) -> None:
        self.spec = spec
        self.codes = codes
        self.scales = scales
        self.zero_points = zero_points
        self.sums = sums
        self.outer_scales = outer_scales
        self._checksums = checksums
        self._origin = origin
        self._tree = tree
        self._verified = checksums is None

    def buffers(self) -> Buffers:
        """In the order of :data:`BUFFERS`; None for what this tensor does not have."""
        return self.codes, self.scales, self.zero_points, self.sums, self.outer_scales

    def checksums(self) -> Checksums:
        """CRC-32C of each buffer as stored, 0 for what is absent; read from the file if it is from one."""
        if self._checksums is not None:
            return self._checksums
        codes, scales, zero_points, sums, outer_scales = (
            0 if buffer is None else crc32c(np.ascontiguousarray(buffer)) for buffer in self.buffers()
        )
        return codes, scales, zero_points, sums, outer_scales

    @property
    def tree(self) -> HashTree | None:
        """The hash tree that covers the codes where they lie; None for one that has none."""
        return self._tree

    def verify(self) -> None:
        """Compares the codes with the hash tree of their file, else with their checksum; once.

        Raises:
            IntegrityError: the codes are not those that were written.
        """
        if self._verified or self._checksums is None:
            return
        if self._tree is not None:
            self._tree.verify(self.codes, f"tensor {self.spec.name!r}")
            self._verified = True
            return
        found = crc32c(self.codes)
        if found != self._checksums[0]:
            raise IntegrityError(
                f"{self._origin}: tensor {self.spec.name!r}: checksum of its codes is {found:08x}, "
                f"{self._checksums[0]:08x} was written; the file is damaged: convert or copy it again"
            )
        self._verified = True

    def values(self) -> npt.NDArray[Any]:
        """Elements in row-major order: ``spec.shape``; bfloat16 as bits, codes a byte each."""
        if self.spec.grid is not None:
            return self.grid_codes().codes
        return unpack(self.spec.quant_type, self.spec.layout, self.spec.shape, self.codes)

    def to_float32(self) -> npt.NDArray[np.float32]:
        """The tensor's real values, float32 in ``spec.shape``."""
        if self.spec.grid is not None:
            return self.grid_codes().values()
        values = self.values()
        if self.scales is None:
            return float_values(self.spec.quant_type, values)
        rows = values.reshape(self.spec.rows, -1).astype(np.float32)
        if self.zero_points is not None:
            rows -= self.zero_points[: self.spec.rows, None]
        rows *= self.scales[: self.spec.rows, None]
        return rows.reshape(self.spec.shape)

    def grid_codes(self) -> GridCodes:
        """Codes, scales and zero points of a tensor on a grid, in row-major order.

        Raises:
            WeightError: the tensor is on no grid.
        """
        spec = self.spec
        if spec.grid is None or self.scales is None:
            raise WeightError(f"tensor {spec.name!r} is {spec.quant_type} and lies on no grid")
        shape = (spec.shape[0], spec.shape[1])
        return GridCodes.from_packed(
            spec.grid, shape, spec.layout, self.codes, self.scales, self.zero_points, self.outer_scales
        )

    def for_kernels(self, activation: str | None = None) -> Tensor:
        """The same tensor in the layout that kernels read: packed for a linear layer, else row-major.

        Args:
            activation: how activations meet an int8 linear layer; None keeps what the tensor says.
        """
        if self.spec.grid is not None:
            wanted = self.spec.activation if activation is None else activation
            return grid_tensor(self.spec.name, self.grid_codes(), activation=wanted)
        kind = number_type(self.spec.quant_type)
        linear = role_of(self.spec.name, self.spec.shape) == "linear"
        layout = kind.packed if linear else "row"
        if activation is None:
            activation = self.spec.activation
        spec = replace(self.spec, layout=layout, activation=activation if linear and kind.coded else "fp32")
        if layout == self.spec.layout:
            return Tensor(
                spec, *self.buffers(), checksums=self._checksums, origin=self._origin, tree=self._tree
            )
        values = self.values()
        if kind.coded:
            return _coded_tensor(spec, values, self.scales, self.zero_points)
        return Tensor(spec, pack(kind.name, layout, values))

    def as_matrix(self) -> Tensor:
        """A table packed as the matrix of a linear layer: an output head that is tied to it. A copy."""
        unnamed = replace(self.spec, name="weight")
        # Codes on a grid meet activations in blocks as large as their groups, which 8 bits hold well.
        coded_rows = self.spec.quant_type == "int8" and self.spec.grid is None
        activation = "int16" if coded_rows else "fp32" if self.spec.grid is None else "int8"
        tensor = Tensor(unnamed, *self.buffers(), origin=self._origin).for_kernels(activation)
        tensor.spec = replace(tensor.spec, name=self.spec.name)
        return tensor


def float_tensor(name: str, values: npt.NDArray[Any]) -> Tensor:
    """A tensor of float32, float16, or bits of bfloat16 (uint16), row-major; the values are not copied.

    Raises:
        WeightError: the values have another type, or one of them is NaN or infinite.
    """
    names = {np.dtype(np.float32): "fp32", np.dtype(np.float16): "fp16", np.dtype(np.uint16): "bf16"}
    if values.dtype not in names:
        raise WeightError(f"tensor {name!r}: type {values.dtype} is not float32 or float16; convert it first")
    exponents = np.uint16(0x7F80)  # of bfloat16
    finite = (values & exponents) != exponents if values.dtype == np.uint16 else np.isfinite(values)
    if not finite.all():
        raise WeightError(f"tensor {name!r}: holds NaN or infinity; train or download it again")
    spec = TensorSpec(name, names[values.dtype], tuple(values.shape))
    spec.check()
    return Tensor(spec, pack(spec.quant_type, "row", values))


def int8_tensor(
    name: str,
    codes: npt.NDArray[np.int8],
    scales: npt.NDArray[np.float32],
    zero_points: npt.NDArray[np.float32] | None = None,
    *,
    quant_axis: int = 0,
    activation: str = "int16",
) -> Tensor:
    """A tensor of int8 codes in the layout that kernels read.

    Args:
        name: its key.
        codes: in the tensor's shape, row-major.
        scales: [rows], or [1] when ``quant_axis`` is -1.
        zero_points: like ``scales``; None when symmetric.
        quant_axis: 0 for a scale per row, -1 for one scale.
        activation: for a linear layer, how activations meet it.
    """
    linear = role_of(name, codes.shape) == "linear"
    spec = TensorSpec(
        name,
        "int8",
        codes.shape,
        number_type("int8").packed if linear else "row",
        quant_axis,
        activation if linear else "fp32",
    )
    spec.check()
    if zero_points is not None:
        # One form of each number (no -0.0, nothing for all zeros): equal tensors are equal bytes.
        zero_points = zero_points + np.float32(0) if zero_points.any() else None
    return _coded_tensor(spec, codes, scales, zero_points)


def grid_tensor(name: str, matrix: GridCodes, *, activation: str = "int8") -> Tensor:
    """A matrix on a grid in the layout that kernels read: packed for a linear layer, row-major for a table.

    Args:
        name: its key.
        matrix: codes, scales and zero points.
        activation: for a linear layer, ``int8`` (in blocks as large as the groups) or ``fp32``.
    """
    linear = role_of(name, matrix.codes.shape) == "linear"
    grid = matrix.grid
    spec = TensorSpec(
        name,
        grid.quant_type,
        matrix.codes.shape,
        grid.code_type.layout if linear else "row",
        quant_axis=0,
        activation=activation if linear else "fp32",
        group_size=grid.group_size,
        scale_type=grid.scale_type,
        zero_type="u8" if grid.zero_points else "",
    )
    spec.check()
    codes, scales, zeros, outer = matrix.packed(spec.layout)
    return Tensor(
        spec,
        codes,
        scales,
        zeros if grid.zero_points else None,
        outer_scales=outer.view(np.float32) if SCALE_TYPES[grid.scale_type].outer else None,
    )


def _coded_tensor(
    spec: TensorSpec,
    values: npt.NDArray[Any],
    scales: npt.NDArray[np.float32] | None,
    zero_points: npt.NDArray[np.float32] | None,
) -> Tensor:
    if scales is None:
        raise WeightError(f"tensor {spec.name!r}: {spec.quant_type} needs scales")
    sums = None
    if spec.layout != "row":
        sums = _per_row(spec, row_sums(values))
    codes = pack(spec.quant_type, spec.layout, values)
    return Tensor(spec, codes, _per_row(spec, scales), _per_row(spec, zero_points), sums)


def _per_row(spec: TensorSpec, entries: npt.NDArray[Any] | None) -> Any:
    """One entry per row, then zeros up to ``spec.padded_rows``; one for a whole tensor is repeated."""
    if entries is None:
        return None
    if entries.shape == (1,) and spec.quant_axis == -1:
        entries = np.repeat(entries, spec.rows)
    if entries.ndim != 1 or entries.size not in (spec.rows, spec.padded_rows):
        raise WeightError(
            f"tensor {spec.name!r}: {spec.rows} scales and zero points are needed, {entries.size} are given"
        )
    result = np.zeros(spec.padded_rows, dtype=entries.dtype)
    result[: spec.rows] = entries[: spec.rows]
    return result
