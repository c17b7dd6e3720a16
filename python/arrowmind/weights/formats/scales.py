"""Types of the scales of a grid: what a stored scale stands for, and the nearest one to a number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind.errors import WeightError
from arrowmind.frozen import dataclass

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = [
    "SCALE_TYPES",
    "ScaleType",
    "check_scales",
    "decode_scales",
    "encode_scales",
    "restore_scales",
    "scale_type",
]


@dataclass(frozen=True)
class ScaleType:
    """How the scales of a grid are stored.

    Attributes:
        name: as in the ``scale_type`` column.
        dtype: of one stored scale.
        outer: whether each row has a float32 scale of its own that the stored ones are multiplied by.
        values: float32 [256] by stored byte, NaN for bytes that must not occur; None for floats.
        signed: whether scales may be negative.
    """

    name: str
    dtype: np.dtype[Any]
    outer: bool = False
    values: npt.NDArray[np.float32] | None = None
    signed: bool = False


def _e8m0() -> npt.NDArray[np.float32]:
    # OCP Microscaling Formats 1.0: 2^(byte - 127), 255 is NaN. 0 would be 2^-127; we take it for 0, which is
    # what writers mean by it, so that no kernel has to treat subnormals like another.
    values: npt.NDArray[np.float32] = np.ldexp(1.0, np.minimum(np.arange(256), 254) - 127).astype(np.float32)
    values[0], values[255] = 0, np.nan
    return values


def _e4m3() -> npt.NDArray[np.float32]:
    # OCP 8-bit floating point 1.0, E4M3: bias 7, 127 is NaN; scales have no sign.
    byte = np.arange(256)
    exponent, mantissa = byte >> 3 & 15, byte & 7
    normal = np.ldexp(1 + mantissa / 8, exponent - 7)
    values = np.where(exponent == 0, mantissa * 2.0**-9, normal).astype(np.float32)
    values[127:] = np.nan
    return values


SCALE_TYPES = {
    kind.name: kind
    for kind in (
        ScaleType("fp32", np.dtype("<f4")),
        ScaleType("fp16", np.dtype("<f2"), signed=True),
        ScaleType("u8", np.dtype("u1"), outer=True, values=np.arange(256, dtype=np.float32)),
        ScaleType("e8m0", np.dtype("u1"), values=_e8m0()),
        ScaleType("e4m3", np.dtype("u1"), outer=True, values=_e4m3()),
    )
}


def scale_type(name: str) -> ScaleType:
    """The scale type called ``name``.

    Raises:
        WeightError: there is none.
    """
    if name not in SCALE_TYPES:
        raise WeightError(f"scale_type {name!r} is unknown; this version reads {', '.join(SCALE_TYPES)}")
    return SCALE_TYPES[name]


def decode_scales(
    name: str, stored: npt.NDArray[Any], outer: npt.NDArray[np.float32] | None
) -> npt.NDArray[np.float32]:
    """Stored scales [n, groups] as float32, in the one multiplication that kernels do."""
    kind = scale_type(name)
    values = stored.astype(np.float32) if kind.values is None else kind.values[stored]
    return values if outer is None else values * outer[:, None]


def encode_scales(
    name: str, wanted: npt.NDArray[np.floating[Any]]
) -> tuple[npt.NDArray[Any], npt.NDArray[np.float32] | None]:
    """The nearest scales that a type can hold; none above 0 becomes 0.

    Args:
        name: of the scale type.
        wanted: [n, groups], finite, at least 0.

    Returns:
        Stored scales [n, groups], and the outer scale of each row for types that have one.

    Raises:
        WeightError: a scale is negative, not finite, or too large for the type.
    """
    kind = scale_type(name)
    wanted = np.asarray(wanted, dtype=np.float32)
    if not (np.isfinite(wanted).all() and (wanted >= 0).all()):
        raise WeightError(f"scales must be finite and not negative, to be stored as {name}")
    if kind.values is None:
        return _as_float(kind, wanted), None
    largest = float(np.nanmax(kind.values))
    if not kind.outer:
        return _nearest(kind, wanted), None
    # Each row's largest scale takes the largest code.
    outer = (wanted.max(axis=1) / largest).astype(np.float32)
    outer = np.where(outer > 0, np.maximum(outer, np.finfo(np.float32).tiny), 1).astype(np.float32)
    return _nearest(kind, wanted / outer[:, None]), outer


def restore_scales(name: str, values: npt.NDArray[np.floating[Any]]) -> npt.NDArray[Any]:
    """Stored scales from what they stand for without outer scales, exactly.

    Raises:
        WeightError: a value is none that the type can hold.
    """
    kind = scale_type(name)
    if kind.values is None:
        stored = values.astype(kind.dtype)
    else:
        known = kind.values[np.isfinite(kind.values)]
        stored = np.minimum(np.searchsorted(known, values), known.size - 1).astype(np.uint8)
    if not np.array_equal(decode_scales(name, stored, None), values):
        raise WeightError(f"a scale is none that {name} can hold")
    check_scales(name, stored)
    return stored


def check_scales(name: str, stored: npt.NDArray[Any]) -> None:
    """Raises WeightError if a stored scale is not finite, or negative where the type has no sign."""
    values = decode_scales(name, stored, None)
    if not (np.isfinite(values).all() and (scale_type(name).signed or (values >= 0).all())):
        sign = "" if scale_type(name).signed else " positive"
        raise WeightError(f"a scale of type {name} is not a finite{sign} number")


def _as_float(kind: ScaleType, wanted: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
    with np.errstate(over="ignore"):
        stored = wanted.astype(kind.dtype)
    if not np.isfinite(stored).all():
        raise WeightError(f"scale {wanted.max():g} does not fit {kind.name}; use another scale type")
    smallest = np.array(np.finfo(kind.dtype).smallest_subnormal, dtype=kind.dtype)
    return np.where((stored == 0) & (wanted > 0), smallest, stored)


def _nearest(kind: ScaleType, wanted: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    values = kind.values[np.isfinite(kind.values)] if kind.values is not None else wanted
    if wanted.size and float(wanted.max()) > float(values[-1]) * 1.0001:
        raise WeightError(f"scale {wanted.max():g} does not fit {kind.name}; use another scale type")
    bounds = (values[1:].astype(np.float64) + values[:-1]) / 2
    bounds[0] = 0  # what is above 0 stays above 0
    stored: npt.NDArray[np.uint8] = np.searchsorted(bounds, wanted, side="left").astype(np.uint8)
    return stored
