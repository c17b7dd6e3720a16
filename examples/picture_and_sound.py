"""A picture recalled by a sound: birds with their songs, remembered together, found by a song in the wind.

Songs and plumages are synthesised, and their vectors are plain measurements (a spectrum over time, colours of
a grid), handed in by the caller as those of an encoder would be.
"""

from __future__ import annotations

import io
import struct
import tempfile
import wave
import zlib
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from arrowmind import MemoryStore

if TYPE_CHECKING:
    import numpy.typing as npt

    from arrowmind.memory import Hit, TextEncoder

    FloatArray = npt.NDArray[np.float32]

BIRDS = (
    *(
        "wren",
        "robin",
        "finch",
        "heron",
        "swift",
        "crane",
        "raven",
        "snipe",
        "stork",
        "egret",
        "lark",
        "tern",
    ),
    *("jay", "kite", "rook", "owl", "dove", "coot", "teal", "rail", "gull", "merlin", "linnet", "plover"),
)
RATE = 16_000
_NOTES, _BANDS, _GRID = 5, 40, 8


def song(number: int, *, wind: float = 0.0, pitch: float = 1.0) -> FloatArray:
    """One second of a bird's melody, float32 [16000]; other birds sing others."""
    chance = np.random.default_rng([1, number])
    tones = chance.uniform(800, 5000, _NOTES) * pitch
    time = np.arange(RATE // _NOTES) / RATE
    notes = [np.sin(2 * np.pi * tone * time) * np.hanning(len(time)) for tone in tones]
    noise = np.random.default_rng([2, number]).standard_normal(RATE)
    return (np.concatenate(notes) + wind * noise).astype(np.float32)


def plumage(number: int) -> npt.NDArray[np.uint8]:
    """A picture of a bird: 8 x 8 colours, uint8 [8, 8, 3]."""
    chance = np.random.default_rng([3, number])
    few = chance.integers(0, 256, (4, 3))
    half = chance.integers(0, 4, (_GRID, _GRID // 2))
    return few[np.hstack([half, half[:, ::-1]])].astype(np.uint8)


def hear(samples: FloatArray) -> FloatArray:
    """A sound as a vector: loudness by band and fifth of a second."""
    parts = np.abs(np.fft.rfft(samples.reshape(_NOTES, -1), axis=1))
    edges = np.linspace(500 * len(samples) // RATE // _NOTES, parts.shape[1], _BANDS + 1).astype(int)
    bands = np.stack([parts[:, a:b].mean(1) for a, b in pairwise(edges)], axis=1)
    levels = np.log1p(bands)
    return (levels - levels.mean()).astype(np.float32).ravel()


def see(pixels: npt.NDArray[np.uint8]) -> FloatArray:
    """A picture as a vector: its colours."""
    return (pixels.astype(np.float32) / 255 - 0.5).ravel()


def png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """The bytes of a PNG file."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    head = struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def pixels_of(data: bytes) -> npt.NDArray[np.uint8]:
    """The colours in a PNG file that `png` wrote."""
    length = struct.unpack(">I", data[33:37])[0]
    rows = np.frombuffer(zlib.decompress(data[41 : 41 + length]), np.uint8).reshape(_GRID, 1 + 3 * _GRID)
    return rows[:, 1:].reshape(_GRID, _GRID, 3)


def wav(samples: FloatArray) -> bytes:
    """The bytes of a WAV file."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return buffer.getvalue()


def remember(store: MemoryStore) -> list[int]:
    """All birds: a note that does not name them, with picture and song."""
    numbers = range(len(BIRDS))
    return store.remember_many(
        [f"seen at the pond on day {number + 1}" for number in numbers],
        {"image": [see(plumage(n)) for n in numbers], "audio": [hear(song(n)) for n in numbers]},
        image=[png(plumage(number)) for number in numbers],
        audio=[wav(song(number)) for number in numbers],
        metadata=[{"bird": bird} for bird in BIRDS],
    )


def find(store: MemoryStore, number: int) -> Hit:
    """What a bird's song, sung a little higher and in the wind, brings back."""
    heard = hear(song(number, wind=0.3, pitch=1.005))
    return store.recall(embedding={"audio": heard}, top_k=1)[0]


def run(engine: TextEncoder) -> tuple[list[Hit], MemoryStore, tempfile.TemporaryDirectory[str]]:
    """Remembers all birds in a store of its own, and finds each by its song."""
    folder = tempfile.TemporaryDirectory(prefix="arrowmind-birds-")
    store = MemoryStore(Path(folder.name) / "store", engine)
    remember(store)
    return [find(store, number) for number in range(len(BIRDS))], store, folder
