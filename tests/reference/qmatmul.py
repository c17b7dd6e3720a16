"""Quantised matrix multiplication as csrc/kernels/qmatmul/qmatmul.h defines it, and its error bounds."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from tests.reference.tolerance import UNIT

from arrowmind import _native

ACTIVATIONS = {
    "kF32": "fp32",
    "kI8": "int8",
    "kI16": "int16",
    "kI8Block": "int8-block",
    "kBf16": "bf16",
    "kBf16Tile": "bf16-tile",
}
WEIGHTS = {
    "kF32": "fp32",
    "kF16": "fp16",
    "kBf16": "bf16",
    "kI8": "int8",
    "kI8Paired": "int8-paired",
    "kI8Fours": "int8-fours",
    "kI8Grid": "int8-grid",
    "kI4Grid": "int4-grid",
    "kI2Grid": "int2-grid",
    "kFp4Grid": "fp4-grid",
    "kT2Grid": "trellis2-grid",
    "kT3Grid": "trellis3-grid",
}
CODES = {"fp32": np.float32, "fp16": np.float16, "bf16": np.float32, "int8": np.int8, "int16": np.int16}
PANEL, QUAD = 16, 4


def bits_of(values: np.ndarray, name: str) -> np.ndarray:
    """Floats that a type of 16 bits holds exactly, as its bits; float32 and codes as they are."""
    if name == "fp16":
        return values.astype(np.float16).view(np.uint16)
    if name == "bf16":
        return (np.ascontiguousarray(values, np.float32).view(np.uint32) >> 16).astype(np.uint16)
    return values


def rounded(values: np.ndarray, name: str) -> np.ndarray:
    """The values, float32, that a type of 16 bits holds; bfloat16 is cut off."""
    if name == "fp16":
        return values.astype(np.float16).astype(np.float32)
    return (np.ascontiguousarray(values, np.float32).view(np.uint32) & 0xFFFF0000).view(np.float32)


class Form(NamedTuple):
    """The types of one group of rows of the kernel table."""

    activation: str
    weight: str

    @classmethod
    def of(cls, row: dict) -> Form:
        """From the row's detail, for instance "kI16 x kI8"."""
        activation, weight = row["detail"].split(" x ")
        return cls(ACTIVATIONS[activation], WEIGHTS[weight])

    @property
    def integer(self) -> bool:
        return self.activation.startswith("int")


def padded(size: int, multiple: int) -> int:
    """Size rounded up."""
    return -(-size // multiple) * multiple


def code_limit(activation: str, k: int) -> int:
    """Largest activation code; the least is its negative, and for int8 one less."""
    return 127 if activation == "int8" else _native.qmatmul_activation_limit(k)


@dataclass
class Problem:
    """Operands of one multiplication; `a` [m, k] and `w` [n, k] in their own types."""

    form: Form
    a: np.ndarray
    w: np.ndarray
    a_scale: np.ndarray | None = None  # [m]
    a_zero: np.ndarray | None = None  # [m]
    w_scale: np.ndarray | None = None  # [n]
    w_zero: np.ndarray | None = None  # [n]
    bias: np.ndarray | None = None  # [n]
    residual: np.ndarray | None = None  # [m, n]
    gelu: bool = False
    give_sums: bool = True
    extra_stride: int = 0  # columns behind those the kernel may read
    a_type: str = "fp32"  # of float activations, which it holds exactly
    packed: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        bits = bits_of(self.w, self.form.weight)
        self.packed = _native.qmatmul_pack(self.form.weight.removesuffix("-paired"), bits)

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.a.shape[0], self.w.shape[0], self.a.shape[1]

    def run(self, name: str, n_begin: int = 0, n_end: int | None = None) -> np.ndarray:
        """The kernel's [m, n]; outputs outside [n_begin, n_end) stay NaN."""
        m, n, k = self.shape
        c = np.full((m, n), np.nan, np.float32)
        _native.qmatmul_run(
            name,
            self._rows(),
            k,
            self.packed,
            c,
            a_scale=self.a_scale,
            a_zero=self.a_zero,
            a_sum=self._centred().sum(axis=1).astype(np.int32) if self.form.integer else None,
            w_scale=self._per_output(self.w_scale, np.float32),
            w_zero=self._per_output(self.w_zero, np.float32),
            w_sum=self._sums(),
            bias=self.bias,
            residual=self.residual,
            gelu=self.gelu,
            n_begin=n_begin,
            n_end=n_end,
            a_type=self.a_type,
        )
        return c

    def expected(self) -> tuple[np.ndarray, np.ndarray]:
        """The result in float64 and its error bound, both [m, n]."""
        value, bound = self._integer_value() if self.form.integer else self._float_value()
        if self.bias is not None:
            value = value + self.bias
            bound = bound + UNIT * np.abs(value)
        if self.gelu:
            value = value * (0.5 + 0.5 * np.vectorize(math.erf)(value / math.sqrt(2)))
            # The slope of GELU is below 1.13; its own error is stated in kernels/simd/f32x16.h.
            bound = 1.13 * bound + 5e-7 * np.maximum(1, np.abs(value))
        if self.residual is not None:
            value = value + self.residual
            bound = bound + UNIT * np.abs(value)
        return value, bound * (1 + 8 * UNIT)

    def exact(self) -> np.ndarray:
        """The bits of an integer form without zero points of weights and GELU: rounded as the kernel."""
        total = (self.a.astype(np.int64) @ self.w.astype(np.int64).T).astype(np.float32)
        if self.a_zero is not None:
            # A fused multiply-add: exact in float64, then rounded.
            shift = self.a_zero[:, None].astype(np.float64) * self.w.sum(axis=1, dtype=np.float64)
            total = (total.astype(np.float64) - shift).astype(np.float32)
        value = total * (self.a_scale[:, None] * self.w_scale)
        value = value if self.bias is None else value + self.bias
        return value if self.residual is None else value + self.residual

    def _integer_value(self) -> tuple[np.ndarray, np.ndarray]:
        a, w = self._centred(), self.w.astype(np.int64)
        total = (a @ w.T).astype(np.float64)
        correction = np.zeros_like(total)
        if self.w_zero is not None:
            correction = a.sum(axis=1)[:, None] * self.w_zero.astype(np.float64)
        raw = np.abs((self.a.astype(np.int64) @ w.T).astype(np.float64))
        scale = self.a_scale.astype(np.float64)[:, None] * self.w_scale.astype(np.float64)
        # Rounded to float32: the sum, what zeros take off, the row's sum, differences, scales, the result.
        bound = UNIT * (raw + np.abs(total) + 2 * np.abs(correction) + 3 * np.abs(total - correction))
        return (total - correction) * scale, bound * np.abs(scale)

    def _float_value(self) -> tuple[np.ndarray, np.ndarray]:
        a, w = self.a.astype(np.float64), self.w.astype(np.float64)
        if self.w_zero is not None:
            w = w - self.w_zero[:, None]
        value, size = a @ w.T, np.abs(a) @ np.abs(w).T
        scale = 1.0 if self.w_scale is None else self.w_scale.astype(np.float64)
        # One rounding per step of k, one for the scale; float32 sums that vanish leave at most denormals.
        return value * scale, (self.shape[2] + 2) * UNIT * size * np.abs(scale) + 2.0**-140

    def _centred(self) -> np.ndarray:
        """Activation codes less their zero, int64."""
        codes = self.a.astype(np.int64)
        return codes if self.a_zero is None else codes - self.a_zero[:, None]

    def _rows(self) -> np.ndarray:
        """Activations padded as the contract asks; behind the padding lies what no kernel may use."""
        m, _, k = self.shape
        readable = padded(k, QUAD) if self.form.integer else k
        stride = padded(readable + self.extra_stride, QUAD)
        junk = np.nan if not self.form.integer else 111
        rows = np.full((m, stride), junk, CODES[self.form.activation])
        rows[:, :readable] = 0
        rows[:, :k] = self.a
        return bits_of(rows, self.a_type)

    def _per_output(self, values: np.ndarray | None, dtype: type) -> np.ndarray | None:
        if values is None:
            return None
        out = np.zeros(padded(len(values), PANEL), dtype)
        out[: len(values)] = values
        return out

    def _sums(self) -> np.ndarray | None:
        if not self.form.weight.startswith("int8") or not (self.give_sums or self.a_zero is not None):
            return None
        return self._per_output(self.w.sum(axis=1, dtype=np.int32), np.int32)
