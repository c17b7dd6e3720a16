"""RIFF WAVE files: whole numbers of 8 to 32 bits and floats, in any number of channels, validated."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from arrowmind.errors import InvalidArgumentError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["is_wave", "read_wave"]

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE


class _Format(NamedTuple):
    kind: int
    channels: int
    rate: int
    bits: int


def is_wave(data: bytes) -> bool:
    """Whether bytes begin like a WAVE file."""
    return data[:4] == b"RIFF" and data[8:12] == b"WAVE"


def read_wave(data: bytes, name: str) -> tuple[NDArray[np.float32], int]:
    """Samples, float32 [samples, channels] in [-1, 1) for whole numbers, and their rate.

    Raises:
        InvalidArgumentError: it is damaged, or of a kind that is not read.
    """
    form, place = None, 12
    while place + 8 <= len(data):
        kind, size = struct.unpack_from("<4sI", data, place)
        place += 8
        if kind == b"fmt ":
            form = _format(data[place : place + min(size, 40)], name)
        elif kind == b"data":
            if form is None:
                break
            # Recorders that stop halfway leave a size of 0 or 2^32 - 1: then what is there counts.
            end = len(data) if size in (0, 0xFFFFFFFF) else place + size
            return _samples(data[place : min(end, len(data))], form), form.rate
        place += size + size % 2
    raise InvalidArgumentError(f"{name}: a WAVE file without sound in it; copy it again")


def _format(chunk: bytes, name: str) -> _Format:
    if len(chunk) < 16:
        raise InvalidArgumentError(f"{name}: a WAVE file with a head of {len(chunk)} bytes; copy it again")
    kind, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", chunk)
    if kind == _EXTENSIBLE and len(chunk) >= 26:
        (kind,) = struct.unpack_from("<H", chunk, 24)
    known = (kind == _PCM and bits in (8, 16, 24, 32)) or (kind == _FLOAT and bits in (32, 64))
    if not known or not 1 <= channels <= 64:
        raise InvalidArgumentError(
            f"{name}: WAVE of kind {kind}, {bits} bits, {channels} channels; whole numbers of 8 to 32 bits "
            "and floats of 32 or 64 are read: convert it first"
        )
    return _Format(kind, channels, rate, bits)


def _samples(data: bytes, form: _Format) -> NDArray[np.float32]:
    width = form.bits // 8
    count = len(data) // (width * form.channels)
    raw = np.frombuffer(data, np.uint8, count * width * form.channels)
    if form.kind == _FLOAT:
        with np.errstate(over="ignore"):  # infinities are for the caller to refuse
            values = raw.view("<f4" if width == 4 else "<f8").astype(np.float32)
    elif width == 1:
        values = (raw.astype(np.float32) - 128) / np.float32(128)
    elif width == 3:  # in the upper bytes of 32 bits
        wide = np.zeros((len(raw) // 3, 4), np.uint8)
        wide[:, 1:] = raw.reshape(-1, 3)
        values = wide.view("<i4")[:, 0].astype(np.float32) / np.float32(1 << 31)
    else:
        values = raw.view(f"<i{width}").astype(np.float32) / np.float32(1 << (form.bits - 1))
    samples: NDArray[np.float32] = values.reshape(count, form.channels)
    return samples
