"""Sound from files, bytes and arrays: one channel, 16,000 samples a second."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from arrowmind.errors import InvalidArgumentError
from arrowmind.media.resampling import resample
from arrowmind.media.sources import name_of, read_bytes
from arrowmind.media.wave import is_wave, read_wave

if TYPE_CHECKING:
    from numpy.typing import NDArray

    SoundSource: TypeAlias = str | os.PathLike[str] | bytes | NDArray[Any]

__all__ = ["RATE", "SoundLimits", "read_sound"]

RATE = 16000
"""Samples a second that models read."""

_RATES = (1000, 768_000)
_MISSING = "reading this kind of sound takes soundfile: pip install 'arrowmind[media]', or give a WAV file"


@dataclass(frozen=True)
class SoundLimits:
    """What a sound may have.

    Attributes:
        bytes: of a file.
        seconds: of its length; looked at before it is decoded.
        channels: of a file or an array.
    """

    bytes: int = 1 << 30
    seconds: float = 4 * 3600
    channels: int = 64


def read_sound(
    source: SoundSource, rate: int | None = None, limits: SoundLimits | None = None
) -> NDArray[np.float32]:
    """A sound in one channel, the mean of all, at :data:`RATE`.

    Args:
        source: a path, the bytes of a file (WAV; FLAC, Ogg and MP3 with soundfile), or an array [samples] or
            [samples, channels] of floats or of int16.
        rate: samples a second of an array; None takes :data:`RATE`. Files say it themselves.
        limits: None takes the defaults.

    Returns:
        float32 [samples].

    Raises:
        InvalidArgumentError: it is empty, damaged, of another kind, too long, holds NaN or infinities, or has
            a rate that cannot be.
    """
    limits, name = limits or SoundLimits(), name_of(source)
    if isinstance(source, np.ndarray):
        samples, rate = _array(source), RATE if rate is None else rate
    elif not isinstance(source, str | os.PathLike | bytes | bytearray | memoryview):
        raise InvalidArgumentError(f"a sound is {type(source).__name__}; give a path, bytes or an array")
    elif rate is not None:
        raise InvalidArgumentError(f"{name}: a file says its rate itself; leave out rate={rate}")
    else:
        samples, rate = _file(read_bytes(source, limits.bytes), name, limits)
    _check(samples, rate, name, limits)
    with np.errstate(over="ignore"):
        mono = samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1, dtype=np.float32)
    if not np.isfinite(mono).all():
        raise InvalidArgumentError(f"{name} holds NaN or infinite samples; was it decoded rightly?")
    return resample(np.ascontiguousarray(mono), rate, RATE)


def _array(values: NDArray[Any]) -> NDArray[np.float32]:
    if values.ndim not in (1, 2):
        raise InvalidArgumentError(
            f"a sound of shape {list(values.shape)}; [samples] or [samples, channels] is needed"
        )
    if values.dtype == np.int16:
        scaled: NDArray[np.float32] = values.astype(np.float32) / np.float32(32768)
    elif values.dtype.kind == "f":
        with np.errstate(over="ignore"):
            scaled = values.astype(np.float32)
    else:
        raise InvalidArgumentError(f"a sound of {values.dtype}; floats or int16 are needed")
    return scaled.reshape(len(scaled), -1) if scaled.size else scaled.reshape(0, 1)


def _file(data: bytes, name: str, limits: SoundLimits) -> tuple[NDArray[np.float32], int]:
    if is_wave(data):
        return read_wave(data, name)
    try:
        import soundfile  # noqa: PLC0415  an extra
    except (ImportError, OSError) as error:  # OSError: without its library
        raise InvalidArgumentError(f"{name}: {_MISSING}") from error
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            _check_size(file.frames, file.channels, file.samplerate, name, limits)
            samples = file.read(dtype="float32", always_2d=True)
            return samples, int(file.samplerate)
    except (soundfile.SoundFileError, RuntimeError, ValueError, TypeError) as error:
        if isinstance(error, InvalidArgumentError):
            raise
        raise InvalidArgumentError(
            f"{name} is no sound that can be read ({error}); use WAV, FLAC, Ogg or MP3"
        ) from error


def _check(samples: NDArray[np.float32], rate: object, name: str, limits: SoundLimits) -> None:
    if isinstance(rate, bool) or not isinstance(rate, int | np.integer) or not _RATES[0] <= rate <= _RATES[1]:
        raise InvalidArgumentError(
            f"{name} has a rate of {rate!r}; {_RATES[0]} to {_RATES[1]} samples a second are read"
        )
    frames, channels = samples.shape
    _check_size(frames, channels, int(rate), name, limits)


def _check_size(frames: int, channels: int, rate: int, name: str, limits: SoundLimits) -> None:
    if frames < 1:
        raise InvalidArgumentError(f"{name} holds no samples; give a sound of some length")
    if channels > limits.channels or frames > limits.seconds * max(rate, 1):
        raise InvalidArgumentError(
            f"{name} has {frames} samples at {rate} a second in {channels} channels; at most "
            f"{limits.seconds:g} s and {limits.channels} channels are read: cut it first"
        )
