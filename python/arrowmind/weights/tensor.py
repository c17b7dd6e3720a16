"""A tensor as the kernels read it: a description, packed codes, and one scale per output."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from arrowmind.columnar import crc32c
from arrowmind.errors import IntegrityError, WeightError
from arrowmind.frozen import dataclass
from arrowmind.weights.formats import (
    ACTIVATIONS,
    PANEL,
    SCALE_TYPES,
    Grid,
    GridCodes,
    encoded_bytes,
    float_values,
    layout_of,
    number_type,
    pack,
    padded,
    row_sums,
    unpack,
)
from arrowmind.weights.roles import role_of, split_name

if TYPE_CHECKING:
    import numpy.typing as npt

    from arrowmind._native import HashTree

__all__ = ["BUFFERS", "Checksums", "Tensor", "TensorSpec", "float_tensor", "grid_tensor", "int8_tensor"]

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


@dataclass(frozen=True)
class TensorSpec:
    """What a tensor is, without its bytes.

    Attributes:
        name: key in the model, for instance ``encoder.layer.0.output.dense.weight``.
        quant_type: ``fp32``, ``fp16``, ``int8``, ``int4``, ``int2``, ``fp4``, ``trellis2``
            or ``trellis3``.
        shape: as in the original; [n_out, n_in] for a linear layer.
        layout: ``row``, ``n16``, ``n16k4``, ``n16k8``, ``n16k16`` or ``n16k32``.
        quant_axis: 0 when every row has its own scales, -1 when one scale serves all or none is needed.
        activation: how activations meet this matrix: ``fp32``, ``int16`` or ``int8``.
        group_size: elements of a row per scale of a tensor on a grid, 0 for whole rows; -1: on no grid.
        scale_type: of a tensor on a grid, see :data:`arrowmind.weights.formats.SCALE_TYPES`; else empty.
        zero_type: ``u8`` for a tensor on a grid with zero points; else empty.
    """

    name: str
    quant_type: str
    shape: tuple[int, ...]
    layout: str = "row"
    quant_axis: int = -1
    activation: str = "fp32"
    group_size: int = -1
    scale_type: str = ""
    zero_type: str = ""

    # Cached, as a model of experts has thousands of tensors and asks again and again.
    @cached_property
    def grid(self) -> Grid | None:
        """The grid its codes lie on; None for floats and for int8 with one scale per row."""
        if self.group_size < 0:
            return None
        return Grid(self.quant_type, self.group_size, self.scale_type, self.zero_type == "u8")

    @property
    def layer_name(self) -> str:
        """The name up to its last dot."""
        return split_name(self.name)[0]

    @property
    def weight_name(self) -> str:
        """The name after its last dot."""
        return split_name(self.name)[1]

    @cached_property
    def codes_bytes(self) -> int:
        """Bytes of the codes, padding of the layout included."""
        if self.grid is not None:
            return self.grid.codes_bytes(self.shape[0], self.shape[1], self.layout)
        return encoded_bytes(self.quant_type, self.layout, self.shape)

    @property
    def scale_count(self) -> int:
        """Entries of scales and zero points."""
        if self.grid is not None:
            return self.grid.scale_count(self.shape[0], self.shape[1], self.layout)
        return self.padded_rows

    @property
    def rows(self) -> int:
        """Rows with a scale of their own; a vector is one."""
        return self.shape[0] if len(self.shape) > 1 else 1

    @property
    def padded_rows(self) -> int:
        """Entries of sums, and of scales and zero points of a tensor on no grid."""
        return padded(self.rows, PANEL) if len(self.shape) > 1 else 1

    def check(self) -> None:
        """Raises WeightError, naming the tensor, unless the attributes go together."""
        try:
            self._check()
        except WeightError as error:
            raise type(error)(f"tensor {self.name!r}: {error}") from error

    def _check(self) -> None:
        if self.group_size != -1:
            self._check_grid()
            return
        if self.scale_type or self.zero_type:
            raise WeightError("scale_type and zero_type go with a group size of 0 or more")
        coded = number_type(self.quant_type).coded
        layout_of(self.layout, self.quant_type)
        if any(size < 1 for size in self.shape):
            raise WeightError(f"shape {list(self.shape)} has a dimension below 1")
        if coded and not self.shape:
            raise WeightError(f"a scalar cannot be {self.quant_type}; keep it in fp32")
        if self.quant_axis not in ((0, -1) if coded else (-1,)):
            raise WeightError(f"quant_axis {self.quant_axis} does not go with {self.quant_type}; use 0 or -1")
        if coded and len(self.shape) == 1 and self.quant_axis != -1:
            raise WeightError("a vector has one scale; use quant_axis -1")
        integer_product = coded and self.layout != "row"
        if self.activation not in (ACTIVATIONS if integer_product else ("fp32",)):
            raise WeightError(
                f"activation {self.activation!r} does not go with {self.quant_type} in layout {self.layout}"
            )
        encoded_bytes(self.quant_type, self.layout, self.shape)

    def _check_grid(self) -> None:
        if self.grid is None or self.zero_type not in ("", "u8"):
            raise WeightError(f"group size {self.group_size} or zero_type {self.zero_type!r} is unknown")
        self.grid.check()
        if len(self.shape) != 2 or any(size < 1 for size in self.shape):
            raise WeightError(f"shape {list(self.shape)} is not that of a matrix; only those have grids")
        if self.layout not in ("row", self.grid.code_type.layout) or self.quant_axis != 0:
            raise WeightError(
                f"layout {self.layout!r} or quant_axis {self.quant_axis} does not go with {self.quant_type}"
            )
        if self.activation not in (("fp32",) if self.layout == "row" else ("fp32", "int8")):
            raise WeightError(f"activation {self.activation!r} does not go with groups in {self.layout}")


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
