"""GGUF blocks -> float32, from the description in docs/formats/gguf.md, whole arrays at a time.

Written apart from the native code: bits are unpacked into whole arrays first and put in order afterwards.
"""

from __future__ import annotations

import numpy as np

SIZES = {
    "F32": (1, 4),
    "F16": (1, 2),
    "BF16": (1, 2),
    "Q4_0": (32, 18),
    "Q4_1": (32, 20),
    "Q5_0": (32, 22),
    "Q5_1": (32, 24),
    "Q8_0": (32, 34),
    "Q2_K": (256, 84),
    "Q3_K": (256, 110),
    "Q4_K": (256, 144),
    "Q5_K": (256, 176),
    "Q6_K": (256, 210),
    "MXFP4": (32, 17),
}
E2M1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6], np.float32)


def half(blocks: np.ndarray, at: int) -> np.ndarray:
    """The float16 at byte ``at`` of each block, float32 [blocks, 1]."""
    return np.ascontiguousarray(blocks[:, at : at + 2]).view("<f2").astype(np.float32)


def fields(data: np.ndarray, bits: int) -> np.ndarray:
    """[blocks, bytes] -> [blocks, 8 / bits, bytes]: the lowest bits of all bytes first."""
    shifts = np.arange(0, 8, bits, dtype=np.uint8)[None, :, None]
    return (data[:, None, :] >> shifts) & ((1 << bits) - 1)


def nibbles(data: np.ndarray) -> np.ndarray:
    """16 bytes -> 32 codes: low halves, then high halves."""
    return fields(data, 4).reshape(len(data), -1)


def spread(data: np.ndarray, bits: int, run: int) -> np.ndarray:
    """Runs of ``run`` bytes, each first all its lowest bits, then the next: [blocks, elements]."""
    parts = [fields(data[:, i : i + run], bits).reshape(len(data), -1) for i in range(0, data.shape[1], run)]
    return np.concatenate(parts, axis=1)


def fifth_bits(blocks: np.ndarray, at: int) -> np.ndarray:
    return np.unpackbits(blocks[:, at : at + 4], axis=1, bitorder="little")


def scales_4k(packed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """12 bytes -> 8 scales and 8 minima of 6 bits."""
    a, b, c = packed[:, 0:4], packed[:, 4:8], packed[:, 8:12]
    scales = np.concatenate([a & 63, (c & 15) | (a >> 6) << 4], axis=1)
    minima = np.concatenate([b & 63, (c >> 4) | (b >> 6) << 4], axis=1)
    return scales, minima


def scales_3k(packed: np.ndarray) -> np.ndarray:
    """12 bytes -> 16 scales of 6 bits, less 32."""
    low = nibbles(packed[:, :8])
    high = fields(packed[:, 8:], 2).reshape(len(packed), -1)
    return (low | high << 4).astype(np.int32) - 32


def grouped(codes: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """Codes times the scale of their group, float32."""
    repeated = np.repeat(scales, codes.shape[1] // scales.shape[1], axis=1)
    return (codes.astype(np.float32) * repeated).astype(np.float32)


def decode(kind: str, data: np.ndarray) -> np.ndarray:
    """uint8 [bytes] -> float32 [elements]."""
    size = SIZES[kind][1]
    blocks = np.ascontiguousarray(data).reshape(data.size // size, size)
    with np.errstate(all="ignore"):
        return DECODERS[kind](blocks).astype(np.float32).reshape(-1)


def _mxfp4(b: np.ndarray) -> np.ndarray:
    scale = np.ldexp(np.float64(1), b[:, :1].astype(np.int32) - 127)
    scale[b[:, :1] == 255] = np.nan
    return E2M1[nibbles(b[:, 1:])].astype(np.float64) * scale


def _q4_k(b: np.ndarray) -> np.ndarray:
    scales, minima = scales_4k(b[:, 4:16])
    codes = spread(b[:, 16:], 4, 32)
    return grouped(codes, half(b, 0) * scales) - grouped(np.ones_like(codes), half(b, 2) * minima)


def _q5_k(b: np.ndarray) -> np.ndarray:
    scales, minima = scales_4k(b[:, 4:16])
    codes = spread(b[:, 48:], 4, 32) | spread(b[:, 16:48], 1, 32) << 4
    return grouped(codes, half(b, 0) * scales) - grouped(np.ones_like(codes), half(b, 2) * minima)


def _q2_k(b: np.ndarray) -> np.ndarray:
    codes = spread(b[:, 16:80], 2, 32)
    scales, minima = half(b, 80) * (b[:, :16] & 15), half(b, 82) * (b[:, :16] >> 4)
    return grouped(codes, scales) - grouped(np.ones_like(codes), minima)


def _q3_k(b: np.ndarray) -> np.ndarray:
    codes = (spread(b[:, 32:96], 2, 32) | spread(b[:, :32], 1, 32) << 2).astype(np.int32) - 4
    return grouped(codes, half(b, 108) * scales_3k(b[:, 96:108]))


def _q6_k(b: np.ndarray) -> np.ndarray:
    codes = spread(b[:, :128], 4, 64) | spread(b[:, 128:192], 2, 32) << 4
    scales = np.ascontiguousarray(b[:, 192:208]).view(np.int8).astype(np.float32)
    return grouped(codes.astype(np.int32) - 32, half(b, 208) * scales)


DECODERS = {
    "F32": lambda b: b.view("<f4"),
    "F16": lambda b: b.view("<f2"),
    "BF16": lambda b: (b.view("<u2").astype("<u4") << 16).view("<f4"),
    "Q8_0": lambda b: half(b, 0) * np.ascontiguousarray(b[:, 2:]).view(np.int8),
    "Q4_0": lambda b: half(b, 0) * (nibbles(b[:, 2:]).astype(np.float32) - 8),
    "Q4_1": lambda b: half(b, 0) * nibbles(b[:, 4:]) + half(b, 2),
    "Q5_0": lambda b: (
        half(b, 0) * ((nibbles(b[:, 6:]) | fifth_bits(b, 2) << 4).astype(np.float32) - np.float32(16))
    ),
    "Q5_1": lambda b: half(b, 0) * (nibbles(b[:, 8:]) | fifth_bits(b, 4) << 4) + half(b, 2),
    "Q2_K": _q2_k,
    "Q3_K": _q3_k,
    "Q4_K": _q4_k,
    "Q5_K": _q5_k,
    "Q6_K": _q6_k,
    "MXFP4": _mxfp4,
}
