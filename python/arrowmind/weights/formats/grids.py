"""Grids: codes of 8, 4, 3 or 2 bits with a scale for each group of k of a row, and how they are packed.

    value[n, k] = (level(code[n, k]) - zero[n, k / group]) * scale[n, k / group]

====== ==================================== =================== ============ ========
type   level                                with zero points    zero         layout
====== ==================================== =================== ============ ========
int8   code, -127 to 127                    (per row: elements) -            n16k4
int4   code - 8                             code, 0 to 15       byte / 16    n16k8
int2   code - 3/2                           code, 0 to 3        byte / 64    n16k16
fp4    E2M1: 0 1/2 1 3/2 2 3 4 6, and minus -                   -            n16k8
====== ==================================== =================== ============ ========

Of ``trellis2`` (n16k16) and ``trellis3`` (n16k32) the level depends on the codes before, too: trellis.py.

MXFP4 is fp4 in groups of 32 with e8m0 scales (OCP Microscaling Formats 1.0), NVFP4 fp4 in groups of 16 with
e4m3 scales.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind import _native
from arrowmind.errors import WeightError
from arrowmind.frozen import dataclass
from arrowmind.weights.formats.layouts import PANEL, padded
from arrowmind.weights.formats.scales import decode_scales, scale_type
from arrowmind.weights.formats.trellis import TRELLISES, Trellis

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["CODE_TYPES", "GROUP_SIZES", "CodeType", "Grid", "GridCodes"]

GROUP_SIZES = (16, 32, 64, 128, 0)
"""k per scale; 0: one scale for the whole row."""


@dataclass(frozen=True)
class CodeType:
    """A type of codes.

    Attributes:
        name: as in the ``quant_type`` column.
        bits: of a code.
        layout: name of the order kernels read.
        levels: float32 [2^bits], what each code stands for without zero points; int8 by its byte. Empty where
            that depends on other codes.
        zero_step: what one step of a stored zero point is; None where there are none.
        trellis: says what codes stand for that depend on those before; None for the others.
    """

    name: str
    bits: int
    layout: str
    levels: npt.NDArray[np.float32]
    zero_step: float | None = None
    trellis: Trellis | None = None

    @property
    def shifted_levels(self) -> npt.NDArray[np.float32]:
        """What each code stands for beside a zero point: itself."""
        return np.arange(1 << self.bits, dtype=np.float32)


_E2M1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6], dtype=np.float32)
_NONE = np.zeros(0, dtype=np.float32)

CODE_TYPES = {
    kind.name: kind
    for kind in (
        CodeType("int8", 8, "n16k4", np.arange(256, dtype=np.uint8).view(np.int8).astype(np.float32)),
        CodeType("int4", 4, "n16k8", np.arange(16, dtype=np.float32) - 8, zero_step=1 / 16),
        CodeType("int2", 2, "n16k16", np.arange(4, dtype=np.float32) - 1.5, zero_step=1 / 64),
        CodeType("fp4", 4, "n16k8", np.concatenate([_E2M1, -_E2M1])),
        CodeType("trellis2", 2, "n16k16", _NONE, trellis=TRELLISES["trellis2"]),
        CodeType("trellis3", 3, "n16k32", _NONE, trellis=TRELLISES["trellis3"]),
    )
}


@dataclass(frozen=True)
class Grid:
    """Which numbers a matrix on a grid can hold.

    Attributes:
        quant_type: of :data:`CODE_TYPES`.
        group_size: k per scale, of :data:`GROUP_SIZES`.
        scale_type: of :data:`arrowmind.weights.formats.SCALE_TYPES`; ``fp32`` for whole rows alone, which may
            have ``fp16``, too.
        zero_points: whether groups have zero points.
    """

    quant_type: str
    group_size: int = 32
    scale_type: str = "fp16"
    zero_points: bool = False

    def check(self) -> None:
        """Raises WeightError unless the attributes go together."""
        if self.quant_type not in CODE_TYPES:
            raise WeightError(f"quant_type {self.quant_type!r} has no grid; use {', '.join(CODE_TYPES)}")
        if self.group_size not in GROUP_SIZES:
            raise WeightError(f"group size {self.group_size} is not served; use {GROUP_SIZES}")
        scale_type(self.scale_type)
        of_rows = self.scale_type == "fp32" or (self.group_size == 0 and self.scale_type == "fp16")
        if of_rows != (self.group_size == 0):
            raise WeightError(
                f"scale_type {self.scale_type} does not go with group size {self.group_size}; use fp32 or "
                "fp16 for whole rows (0) and another than fp32 for groups"
            )
        if self.zero_points and self.code_type.zero_step is None:
            raise WeightError(f"{self.quant_type} has no zero points in groups; use int4 or int2")

    @property
    def code_type(self) -> CodeType:
        """Bits, levels and layout."""
        return CODE_TYPES[self.quant_type]

    @property
    def bits(self) -> int:
        """Of a code."""
        return self.code_type.bits

    @property
    def levels(self) -> npt.NDArray[np.float32]:
        """float32 [2^bits], by code: what is multiplied by the scale, less a zero point if there is one."""
        return self.code_type.shifted_levels if self.zero_points else self.code_type.levels

    def levels_at(self, codes: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """What codes [n, k] stand for beside zero points and scales, float32 [n, k]."""
        trellis = self.code_type.trellis
        return self.levels[codes] if trellis is None else trellis.levels(codes)

    @property
    def zero_step(self) -> float:
        """What one step of a stored zero point is; 0 without any."""
        return (self.code_type.zero_step or 0.0) if self.zero_points else 0.0

    @property
    def block(self) -> int:
        """K per scale of the activations; codes are padded to a multiple of it."""
        return 128 if self.group_size == 0 else max(32, self.group_size)

    def groups(self, k: int) -> int:
        """Scales of a row of ``k`` values."""
        return 1 if self.group_size == 0 else -(-k // self.group_size)

    def codes_bytes(self, n: int, k: int, layout: str) -> int:
        """Bytes of the codes of a matrix [n, k] in ``layout``, padding included."""
        if layout == "row":
            return n * -(-k * self.bits // 8)
        return padded(n, PANEL) * padded(k, self.block) * self.bits // 8

    def scale_count(self, n: int, k: int, layout: str) -> int:
        """Stored scales of a matrix [n, k], padding included."""
        return (n if layout == "row" else padded(n, PANEL)) * self.groups(k)

    def bits_per_weight(self, n: int, k: int) -> float:
        """All bits of a packed matrix [n, k], scales, zero points and padding included, per weight."""
        kind = scale_type(self.scale_type)
        each = 8 * (kind.dtype.itemsize + self.zero_points)
        bits = 8 * self.codes_bytes(n, k, self.code_type.layout)
        bits += each * self.scale_count(n, k, self.code_type.layout) + 32 * kind.outer * padded(n, PANEL)
        return bits / (n * k)


@dataclass(frozen=True)
class GridCodes:
    """A matrix on a grid, one code per byte in row-major order.

    Attributes:
        grid: what the codes stand for.
        codes: uint8 [n, k]; int8 as its byte.
        scales: [n, groups] as stored.
        zeros: uint8 [n, groups] as stored, or None.
        outer: float32 [n] for scale types that have one, else None.
    """

    grid: Grid
    codes: npt.NDArray[np.uint8]
    scales: npt.NDArray[Any]
    zeros: npt.NDArray[np.uint8] | None = None
    outer: npt.NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        self.grid.check()
        n, k = self.codes.shape
        kind, groups = scale_type(self.grid.scale_type), self.grid.groups(k)
        fits = self.codes.dtype == np.uint8 and self.scales.dtype == kind.dtype
        fits &= self.scales.shape == (n, groups)
        fits &= (self.zeros is not None) == self.grid.zero_points and (self.outer is not None) == kind.outer
        fits &= self.zeros is None or (self.zeros.shape == (n, groups) and self.zeros.dtype == np.uint8)
        fits &= self.outer is None or (self.outer.shape == (n,) and self.outer.dtype == np.float32)
        if not fits:
            raise WeightError(f"codes {[n, k]} do not have the scales, zero points and types of {self.grid}")

    @cached_property
    def effective_scales(self) -> npt.NDArray[np.float32]:
        """float32 [n, groups]."""
        return decode_scales(self.grid.scale_type, self.scales, self.outer)

    @cached_property
    def effective_zeros(self) -> npt.NDArray[np.float32] | None:
        """float32 [n, groups], in steps of a code; None without any."""
        return None if self.zeros is None else self.zeros * np.float32(self.grid.zero_step)

    def values(self) -> npt.NDArray[np.float32]:
        """The real numbers, float32 [n, k]: what float kernels multiply by, to the last bit."""
        k = self.codes.shape[1]
        group = np.zeros(k, np.intp) if self.grid.group_size == 0 else np.arange(k) // self.grid.group_size
        values = self.grid.levels_at(self.codes)
        if self.effective_zeros is not None:
            values -= self.effective_zeros[:, group]
        values *= self.effective_scales[:, group]
        return values

    def packed(self, layout: str) -> tuple[npt.NDArray[np.uint8], ...]:
        """Codes, scales and zero points as bytes of a file, and float32 outer scales; in this order.

        Returns:
            uint8 arrays; zero points and outer scales are empty where there are none.
        """
        codes = self._packed_codes(layout)
        order = self._rows if layout == "row" else self._panels
        none = np.zeros(0, np.uint8)
        zeros = none if self.zeros is None else order(self.zeros)
        outer = none if self.outer is None else _padded_rows(self.outer, layout).view(np.uint8)
        return codes, order(self.scales), zeros, outer

    @classmethod
    def from_packed(
        cls,
        grid: Grid,
        shape: tuple[int, int],
        layout: str,
        codes: npt.NDArray[np.uint8],
        scales: npt.NDArray[np.uint8],
        zeros: npt.NDArray[np.uint8] | None,
        outer: npt.NDArray[np.float32] | None,
    ) -> GridCodes:
        """The inverse of :meth:`packed`."""
        n, k = shape
        groups = grid.groups(k)

        def unordered(stored: npt.NDArray[Any]) -> npt.NDArray[Any]:
            if layout == "row":
                return stored.reshape(n, groups)
            panels = stored.reshape(-1, groups, PANEL).transpose(0, 2, 1).reshape(-1, groups)
            return np.ascontiguousarray(panels[:n])

        return cls(
            grid,
            _unpacked_codes(grid, shape, layout, codes),
            unordered(scales.view(scale_type(grid.scale_type).dtype)),
            None if zeros is None else unordered(zeros),
            None if outer is None else outer[:n],
        )

    def _packed_codes(self, layout: str) -> npt.NDArray[np.uint8]:
        if layout != "row":
            codes = np.ascontiguousarray(self.codes)
            return _native.qmatmul_pack(self.grid.quant_type, codes, group=self.grid.group_size)
        if 8 % self.grid.bits:
            return _packed_bits(self.codes, self.grid.bits)
        n, k = self.codes.shape
        per_byte = 8 // self.grid.bits
        padding = np.zeros((n, padded(k, per_byte)), np.uint8)
        padding[:, :k] = self.codes
        shifts = np.arange(per_byte, dtype=np.uint8) * np.uint8(self.grid.bits)
        parts = padding.reshape(n, -1, per_byte) << shifts
        result: npt.NDArray[np.uint8] = np.bitwise_or.reduce(parts, axis=2).reshape(-1)
        return result

    def _rows(self, values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        return np.ascontiguousarray(values).reshape(-1).view(np.uint8)

    def _panels(self, values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        n, groups = values.shape
        rows = np.zeros((padded(n, PANEL), groups), values.dtype)
        rows[:n] = values
        panels = np.ascontiguousarray(rows.reshape(-1, PANEL, groups).transpose(0, 2, 1))
        return panels.reshape(-1).view(np.uint8)


def _packed_bits(codes: npt.NDArray[np.uint8], bits: int) -> npt.NDArray[np.uint8]:
    """Codes of a row one after the other from the low bits of its first byte on, across bytes."""
    of_code = np.unpackbits(codes[:, :, None], axis=2, count=bits, bitorder="little")
    return np.packbits(of_code.reshape(len(codes), -1), axis=1, bitorder="little").reshape(-1)


def _padded_rows(values: npt.NDArray[np.float32], layout: str) -> npt.NDArray[np.float32]:
    rows = np.zeros(len(values) if layout == "row" else padded(len(values), PANEL), np.float32)
    rows[: len(values)] = values
    return rows


def _unpacked_codes(
    grid: Grid, shape: tuple[int, int], layout: str, codes: npt.NDArray[np.uint8]
) -> npt.NDArray[np.uint8]:
    n, k = shape
    expected = grid.codes_bytes(n, k, layout)
    if codes.size != expected:
        raise WeightError(f"{grid} {layout} {[n, k]} needs {expected} bytes of codes, not {codes.size}")
    if layout != "row":
        out = np.empty(shape, np.uint8)
        _native.qmatmul_unpack(grid.quant_type, np.ascontiguousarray(codes), out, group=grid.group_size)
        return out
    if 8 % grid.bits:
        bits = np.unpackbits(codes.reshape(n, -1), axis=1, bitorder="little")[:, : k * grid.bits]
        return np.ascontiguousarray(
            bits.reshape(n, k, grid.bits) @ (1 << np.arange(grid.bits, dtype=np.uint8))
        )
    per_byte = 8 // grid.bits
    shifts = np.arange(per_byte, dtype=np.uint8) * np.uint8(grid.bits)
    parts = codes.reshape(n, -1, 1) >> shifts & np.uint8((1 << grid.bits) - 1)
    return np.ascontiguousarray(parts.reshape(n, -1)[:, :k])
