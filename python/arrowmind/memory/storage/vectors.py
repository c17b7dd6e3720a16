"""Vectors as a store keeps them: INT8 codes with one scale each, and one-bit codes derived from those."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from arrowmind import _native

if TYPE_CHECKING:
    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float32]
    Int8Array = npt.NDArray[np.int8]
    ByteArray = npt.NDArray[np.uint8]

__all__ = [
    "ROTATION_SEED",
    "estimated_cosines",
    "estimated_vectors",
    "pack_vectors",
    "quantise",
    "query_bits",
    "row_bytes",
    "sign_codes",
    "unpack_vectors",
]

ROTATION_SEED = 0x41524D31
"""Seed of the rotation before signs are taken; part of the file format."""

_CHUNK = 16_384
# What a vector has in common with its signs, all of one size: the mean of |x| of a normal distribution.
_SHARE_OF_SIGNS = float(np.sqrt(2 / np.pi))


def row_bytes(dimension: int) -> int:
    """Bytes of a one-bit code."""
    return (dimension + 7) // 8


def quantise(vectors: FloatArray) -> tuple[Int8Array, FloatArray]:
    """INT8 codes of the directions of vectors.

    Only directions are kept: ``scale * codes`` has length 1, so that its product with a unit query is exactly
    the cosine with what is stored. A vector of zeros keeps codes and scale 0 and resembles nothing.

    Args:
        vectors: float32 [n, dimension], finite.

    Returns:
        Codes int8 [n, dimension] within +-127, scales float32 [n].
    """
    largest = np.abs(vectors).max(axis=1, keepdims=True)
    # Division before multiplication: 127 / largest would overflow for subnormal vectors.
    ratios = np.divide(vectors, largest, out=np.zeros_like(vectors), where=largest > 0)
    codes = np.rint(ratios * np.float32(127)).astype(np.int8)
    norms = np.sqrt(np.einsum("ij,ij->i", codes, codes, dtype=np.float64))
    scales = np.divide(1.0, norms, out=np.zeros_like(norms), where=norms > 0)
    return codes, scales.astype(np.float32)


def sign_codes(codes: Int8Array) -> ByteArray:
    """One-bit codes uint8 [n, (dimension + 7) / 8] of INT8 codes [n, dimension]."""
    signs = np.empty((len(codes), row_bytes(codes.shape[1])), dtype=np.uint8)
    for start in range(0, len(codes), _CHUNK):
        floats = codes[start : start + _CHUNK].astype(np.float32)
        signs[start : start + _CHUNK] = _native.scan_sign_codes(floats, ROTATION_SEED)
    return signs


def query_bits(query: FloatArray) -> ByteArray:
    """One-bit code uint8 [(dimension + 7) / 8] of a query float32 [dimension]."""
    bits: ByteArray = _native.scan_sign_codes(query[None, :], ROTATION_SEED)[0]
    return bits


def estimated_cosines(signs: ByteArray, query: FloatArray) -> FloatArray:
    """Cosines float32 [n] of a query with vectors of which only one-bit codes are known.

    The query is not cut down to signs: that halves the error of counting those that differ. It is 0.03 in 384
    dimensions.

    Args:
        signs: uint8 [n, (dimension + 7) / 8].
        query: float32 [dimension], of length 1.
    """
    rotated: FloatArray = _native.scan_rotate(query[None, :], ROTATION_SEED)[0]
    sums = _native.scan_signed_sums(np.ascontiguousarray(signs), rotated)
    estimates: FloatArray = sums / np.float32(_SHARE_OF_SIGNS * np.sqrt(len(query)))
    return np.clip(estimates, -1.0, 1.0)


def estimated_vectors(signs: ByteArray, dimension: int) -> FloatArray:
    """Vectors float32 [n, dimension] of length 1 with these codes, as near as one can tell."""
    bits = np.unpackbits(signs, axis=1, count=dimension, bitorder="little").astype(np.float32)
    vectors: FloatArray = (2 * bits - 1) @ _rotation(dimension).T / np.float32(np.sqrt(dimension))
    return vectors


@lru_cache(maxsize=4)
def _rotation(dimension: int) -> FloatArray:
    """The rotated unit vectors, float32 [dimension, dimension]; times a vector on the left it rotates it."""
    rotated: FloatArray = _native.scan_rotate(np.eye(dimension, dtype=np.float32), ROTATION_SEED)
    return rotated


def pack_vectors(codes: Int8Array, scales: FloatArray) -> bytes:
    """Codes [n, dimension] and scales [n] as the bytes of a row of the catalogue."""
    return scales.astype("<f4").tobytes() + codes.tobytes()


def unpack_vectors(data: bytes, windows: int, dimension: int) -> tuple[Int8Array, FloatArray]:
    """The inverse of `pack_vectors`, as read-only views of ``data``."""
    scales = np.frombuffer(data, dtype="<f4", count=windows)
    codes = np.frombuffer(data, dtype=np.int8, offset=4 * windows).reshape(windows, dimension)
    return codes, scales
