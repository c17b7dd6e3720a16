"""Images: opened within limits, upright, in three channels; scaled and cut to what a model reads."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from arrowmind.errors import InvalidArgumentError
from arrowmind.media.sources import name_of, read_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from PIL.Image import Image

    ImageSource: TypeAlias = str | os.PathLike[str] | bytes | Image | NDArray[Any]

__all__ = ["ImageLimits", "open_image", "prepare_image"]

# What is decoded; other decoders are never asked.
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
_MISSING = "reading images takes Pillow: pip install 'arrowmind[media]'"


@dataclass(frozen=True)
class ImageLimits:
    """What an image may have.

    Attributes:
        bytes: of a file.
        pixels: width times height; looked at before anything of that size is made.
        ratio: of the longer edge to the shorter.
    """

    bytes: int = 64 << 20
    pixels: int = 50_000_000
    ratio: int = 200


def open_image(source: ImageSource, limits: ImageLimits | None = None) -> Image:
    """An image, upright as its EXIF data says, in mode RGB; transparency is dropped.

    Args:
        source: a path, the bytes of a file (JPEG, PNG, WebP, BMP, the first picture of a GIF), an image of
            Pillow, or an array [height, width, 3 or 4] or [height, width], uint8 or float of 0 to 1.
        limits: None takes the defaults.

    Raises:
        InvalidArgumentError: it is damaged, of another kind, too large, or Pillow is not installed.
    """
    limits = limits or ImageLimits()
    try:
        from PIL import Image, ImageOps  # noqa: PLC0415  an extra, and slow to import
    except ImportError as error:
        raise InvalidArgumentError(_MISSING) from error
    if isinstance(source, np.ndarray):
        return Image.fromarray(_pixels(source, limits))
    if isinstance(source, Image.Image):
        opened: Image.Image = source
    elif isinstance(source, str | os.PathLike | bytes | bytearray | memoryview):
        opened = _decoder(source, limits)
    else:
        raise InvalidArgumentError(
            f"an image is {type(source).__name__}; give a path, bytes, an image of Pillow or an array"
        )
    _check_size(opened.size, name_of(source), limits)
    try:
        upright = ImageOps.exif_transpose(opened)
        if upright.mode.startswith("I;16") or upright.mode == "I":  # 16 bits, of which RGB keeps the upper
            upright = Image.fromarray((np.asarray(upright).clip(0, 65535) >> 8).astype(np.uint8))
        return upright.convert("RGB")
    except Exception as error:  # decoders raise whatever the bytes lead them to
        raise InvalidArgumentError(f"{name_of(source)}: damaged image ({error}); copy it again") from error


def _decoder(source: str | os.PathLike[str] | bytes, limits: ImageLimits) -> Image:
    """An image whose head is read, not its pixels."""
    from PIL import Image  # noqa: PLC0415  an extra, and slow to import

    data = read_bytes(source, limits.bytes)
    try:
        return Image.open(io.BytesIO(data), formats=_FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InvalidArgumentError(
            f"{name_of(source)}: {error}; images may have {limits.pixels} pixels: scale it down first"
        ) from error
    except Exception as error:  # as above
        raise InvalidArgumentError(
            f"{name_of(source)} is no image that can be read ({error}); use {', '.join(_FORMATS)}"
        ) from error


def _check_size(size: tuple[int, int], name: str, limits: ImageLimits) -> None:
    width, height = size
    if width < 1 or height < 1:
        raise InvalidArgumentError(f"{name} has {width} x {height} pixels; an image needs some")
    if width * height > limits.pixels or max(size) > limits.ratio * min(size):
        raise InvalidArgumentError(
            f"{name} has {width} x {height} pixels; at most {limits.pixels}, and an edge {limits.ratio} "
            "times the other, are read: scale it down first"
        )


def _pixels(values: NDArray[Any], limits: ImageLimits) -> NDArray[np.uint8]:
    """An array as uint8 [height, width, 3]."""
    if values.ndim == 2:
        values = values[..., None]
    if values.ndim != 3 or values.shape[2] not in (1, 3, 4):
        raise InvalidArgumentError(
            f"an image of shape {list(values.shape)}; [height, width], or [height, width, 3] is needed"
        )
    _check_size((values.shape[1], values.shape[0]), "the array", limits)
    if values.dtype.kind == "f":
        if not np.isfinite(values).all() or values.min() < 0 or values.max() > 1:
            raise InvalidArgumentError("an image of floats holds values outside 0 to 1; scale them first")
        values = np.rint(values * 255)
    elif values.dtype != np.uint8:
        raise InvalidArgumentError(f"an image of {values.dtype}; uint8, or floats of 0 to 1, are needed")
    found: NDArray[np.uint8] = values.astype(np.uint8)
    channels = found[..., :3] if found.shape[2] > 1 else np.repeat(found, 3, axis=2)
    return np.ascontiguousarray(channels)


def prepare_image(
    image: Image, resize: int, cut: int, mean: Sequence[float], deviation: Sequence[float]
) -> NDArray[np.float32]:
    """What a model reads of an image: scaled bicubically, its middle, normalised.

    Args:
        image: in mode RGB.
        resize: pixels of the shorter edge.
        cut: edge of the square in the middle.
        mean: of each channel, of values 0 to 1.
        deviation: of each channel.

    Returns:
        float32 [3, cut, cut].
    """
    from PIL import Image  # noqa: PLC0415  an extra, and slow to import

    width, height = image.size
    short = min(width, height)
    size = (max(resize, resize * width // short), max(resize, resize * height // short))
    if size != image.size:
        image = image.resize(size, Image.Resampling.BICUBIC)
    left, top = (size[0] - cut) // 2, (size[1] - cut) // 2
    values = np.asarray(image.crop((left, top, left + cut, top + cut)), dtype=np.float32)
    spread = np.asarray(deviation, dtype=np.float32)
    scale = np.float32(1 / 255) / spread
    offset: NDArray[np.float32] = np.asarray(mean, dtype=np.float32) / spread
    values *= scale
    values -= offset
    return np.ascontiguousarray(values.transpose(2, 0, 1))
