"""What a tensor is, without its bytes."""

from __future__ import annotations

from functools import cached_property

from arrowmind.errors import WeightError
from arrowmind.frozen import dataclass
from arrowmind.weights.formats import (
    ACTIVATIONS,
    PANEL,
    Grid,
    encoded_bytes,
    layout_of,
    number_type,
    padded,
)
from arrowmind.weights.roles import split_name

__all__ = ["TensorSpec"]


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
