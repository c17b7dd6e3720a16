"""Images from files, bytes and arrays, and those that are refused."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrowmind.errors import InvalidArgumentError
from arrowmind.media import ImageLimits, open_image, prepare_image

Image = pytest.importorskip("PIL.Image", reason="pip install 'arrowmind[media]'")


def picture(height: int = 40, width: int = 60, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def file_of(pixels: np.ndarray, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def test_every_way_to_give_an_image_gives_the_same(tmp_path):
    pixels = picture()
    path = tmp_path / "one.png"
    path.write_bytes(file_of(pixels))
    sources = [path, str(path), path.read_bytes(), Image.fromarray(pixels), pixels, pixels / 255]
    for source in sources:
        assert np.array_equal(np.asarray(open_image(source)), pixels), type(source)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "GIF", "BMP"])
def test_kinds_of_files(kind):
    assert open_image(file_of(picture(), kind)).size == (60, 40)


def test_grey_transparent_and_deep_images():
    grey = picture()[..., 0]
    assert np.array_equal(np.asarray(open_image(grey)), np.repeat(grey[..., None], 3, axis=2))
    clear = np.dstack([picture(), np.zeros((40, 60), np.uint8)])
    assert np.array_equal(np.asarray(open_image(clear)), picture())
    buffer = io.BytesIO()
    Image.fromarray(grey.astype(np.uint16) * 257).save(buffer, "PNG")
    assert np.array_equal(np.asarray(open_image(buffer.getvalue()))[..., 0], grey)


def test_exif_turns_an_image_upright():
    pixels = picture()
    exif = Image.Exif()
    exif[0x0112] = 6  # turned a quarter
    turned = open_image(file_of(pixels, "PNG", exif=exif))
    assert np.array_equal(np.asarray(turned), np.rot90(pixels, -1))


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims this size."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    body = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + body + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(60_000, 60_000), (9_000, 9_000), (12_000, 8_000), (1_000_000, 1)])
def test_bombs_are_refused_before_they_are_decoded(size):
    with pytest.raises(InvalidArgumentError, match="pixels"):
        open_image(bomb(*size))


def test_limits():
    with pytest.raises(InvalidArgumentError, match=r"2400|pixels"):
        open_image(file_of(picture()), ImageLimits(pixels=2399))
    with pytest.raises(InvalidArgumentError, match="larger than 100 bytes"):
        open_image(file_of(picture()), ImageLimits(bytes=100))
    with pytest.raises(InvalidArgumentError, match="1 x 300 pixels"):
        open_image(np.zeros((300, 1, 3), np.uint8))


@pytest.mark.parametrize(
    ("source", "what"),
    [
        (b"", "is empty"),
        (b"nothing", "no image"),
        (b"\x89PNG\r\n\x1a\n", "no image"),
        (file_of(picture())[:200], "damaged"),
        (file_of(picture(), "JPEG")[:700], "damaged"),
        (file_of(picture(), "TIFF"), "no image"),
        ("no/such/file.png", "cannot be read"),
        (7, "an image is int"),
        (np.zeros((4, 4, 2), np.uint8), r"shape \[4, 4, 2\]"),
        (np.zeros((0, 4, 3), np.uint8), "0 pixels"),
        (np.zeros((4, 4, 3), np.int64), "int64"),
        (np.full((4, 4, 3), np.nan), "outside 0 to 1"),
        (np.full((4, 4, 3), 255.0), "outside 0 to 1"),
    ],
)
def test_what_is_no_image(source, what):
    with pytest.raises(InvalidArgumentError, match=what):
        open_image(source)


@given(st.data())
def test_damaged_files_give_an_image_or_a_clear_error(data):
    whole = bytearray(
        file_of(picture(8, 8), data.draw(st.sampled_from(["PNG", "JPEG", "GIF", "BMP", "WEBP"])))
    )
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(1, len(whole)))
    try:
        image = open_image(bytes(whole[:cut]))
    except InvalidArgumentError:
        return
    assert image.mode == "RGB"


@pytest.mark.parametrize(("height", "width"), [(224, 224), (300, 500), (500, 301), (50, 60), (225, 224)])
def test_preparation(height, width):
    mean, deviation = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)
    image = open_image(picture(height, width))
    found = prepare_image(image, 224, 224, mean, deviation)
    short = min(height, width)
    size = (width * 224 // short, height * 224 // short)
    left, top = (size[0] - 224) // 2, (size[1] - 224) // 2
    resized = np.asarray(image.resize(size, Image.Resampling.BICUBIC), dtype=np.float64) / 255
    cut = resized[top : top + 224, left : left + 224]
    expected = ((cut - mean) / deviation).transpose(2, 0, 1)
    assert found.dtype == np.float32
    assert found.shape == (3, 224, 224)
    # Values up to 5 in three roundings each.
    assert np.abs(found - expected).max() <= 5 * 4 * 2.0**-24 * 2
