"""Sound from files, bytes and arrays, other rates, and what is refused."""

from __future__ import annotations

import io
import struct
import wave

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrowmind.errors import InvalidArgumentError
from arrowmind.media import RATE, SoundLimits, read_sound
from arrowmind.media.resampling import resample


def noise(count: int = 4000, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.9, 0.9, count).astype(np.float32)


def riff(form: bytes, data: bytes, *, size: int | None = None, before: bytes = b"") -> bytes:
    chunks = b"fmt " + struct.pack("<I", len(form)) + form + before
    chunks += b"data" + struct.pack("<I", len(data) if size is None else size) + data
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def form(kind: int, channels: int, rate: int, bits: int) -> bytes:
    width = channels * bits // 8
    return struct.pack("<HHIIHH", kind, channels, rate, rate * width, width, bits)


def test_whole_numbers_of_every_width():
    values = noise(1000)
    for bits in (8, 16, 24, 32):
        codes = np.rint(values.astype(np.float64) * 2 ** (bits - 1)).astype(np.int64)
        width = bits // 8
        raw = (codes + 128 if bits == 8 else codes).astype("<i8").view(np.uint8).reshape(-1, 8)[:, :width]
        found = read_sound(riff(form(1, 1, RATE, bits), raw.tobytes()))
        assert np.abs(found - values).max() <= 2.0**-bits + 2.0**-24, bits


def test_floats_and_the_extensible_form():
    values = noise(1000)
    assert np.array_equal(read_sound(riff(form(3, 1, RATE, 32), values.tobytes())), values)
    doubles = riff(form(3, 1, RATE, 64), values.astype(np.float64).tobytes())
    assert np.array_equal(read_sound(doubles), values)
    extended = form(0xFFFE, 1, RATE, 32) + struct.pack("<HHIH", 22, 32, 4, 3) + bytes(14)
    assert np.array_equal(read_sound(riff(extended, values.tobytes())), values)


def test_the_standard_library_agrees():
    buffer = io.BytesIO()
    codes = (noise(2000) * 32767).astype("<i2")
    with wave.open(buffer, "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(codes.tobytes())
    found = read_sound(buffer.getvalue())
    assert np.abs(found - codes.reshape(-1, 2).mean(axis=1) / 32768).max() <= 2.0**-24


def test_other_chunks_and_sizes_nobody_filled_in():
    values = noise(100)
    extra = b"LIST" + struct.pack("<I", 5) + b"abcde\0"
    for size in (None, 0, 0xFFFFFFFF, 4000):
        data = riff(form(3, 1, RATE, 32), values.tobytes(), size=size, before=extra)
        assert np.array_equal(read_sound(data), values)


def test_arrays_and_files(tmp_path):
    values = noise()
    path = tmp_path / "one.wav"
    path.write_bytes(riff(form(3, 1, RATE, 32), values.tobytes()))
    codes = (values * 32767).astype(np.int16)
    assert np.array_equal(read_sound(values), values)
    assert np.array_equal(read_sound(path), values)
    assert np.array_equal(read_sound(str(path)), values)
    assert np.array_equal(read_sound(codes), codes / np.float32(32768))
    assert np.abs(read_sound(np.stack([values, -values], axis=1))).max() == 0


@pytest.mark.parametrize("kind", ["FLAC", "OGG"])
def test_other_kinds(kind, tmp_path):
    soundfile = pytest.importorskip("soundfile", reason="pip install 'arrowmind[media]'")
    path = tmp_path / f"one.{kind.lower()}"
    tone = np.sin(np.arange(8000) * 2 * np.pi * 440 / RATE).astype(np.float32) * 0.5
    soundfile.write(path, tone, RATE, format=kind)
    assert np.abs(read_sound(path) - tone).mean() < 0.02


@pytest.mark.parametrize(
    ("source", "what"),
    [
        (b"", "is empty"),
        (b"RIFF", r"read|takes soundfile"),
        (b"RIFF\0\0\0\0WAVE", "without sound"),
        (riff(form(1, 1, RATE, 16), b""), "no samples"),
        (riff(form(1, 0, RATE, 16), b"1234"), "0 channels"),
        (riff(form(1, 1, RATE, 12), b"1234"), "12 bits"),
        (riff(form(7, 1, RATE, 8), b"1234"), "kind 7"),
        (riff(form(1, 1, 0, 16), b"1234"), "rate of 0"),
        (riff(form(1, 1, 4_000_000, 16), b"1234"), "rate of 4000000"),
        (riff(b"1234", b"1234"), "head of 4 bytes"),
        (riff(form(3, 1, RATE, 32), struct.pack("<f", float("nan"))), "NaN"),
        (riff(form(3, 1, RATE, 64), struct.pack("<d", 1e300)), "infinite"),
        ("no/such/file.wav", "cannot be read"),
        (7, "a sound is int"),
        (np.zeros(0, np.float32), "no samples"),
        (np.zeros((4, 0), np.float32), "no samples"),
        (np.zeros((2, 2, 2), np.float32), r"shape \[2, 2, 2\]"),
        (np.zeros(4, np.int64), "int64"),
        (np.full(4, np.inf), "infinite"),
        (np.zeros((2, 100), np.float32), "100 channels"),
    ],
)
def test_what_is_no_sound(source, what):
    with pytest.raises(InvalidArgumentError, match=what):
        read_sound(source)


@pytest.mark.parametrize("rate", [0, -1, 999, 1_000_000, 16000.0, True, "16000"])
def test_rates_that_cannot_be(rate):
    with pytest.raises(InvalidArgumentError, match="rate"):
        read_sound(noise(), rate)


def test_limits():
    with pytest.raises(InvalidArgumentError, match=r"at most 0.1 s"):
        read_sound(noise(), limits=SoundLimits(seconds=0.1))
    with pytest.raises(InvalidArgumentError, match="larger than 50 bytes"):
        read_sound(riff(form(3, 1, RATE, 32), noise().tobytes()), limits=SoundLimits(bytes=50))
    with pytest.raises(InvalidArgumentError, match="leave out rate"):
        read_sound(riff(form(3, 1, RATE, 32), noise().tobytes()), 8000)


@given(st.data())
def test_damaged_files_give_a_sound_or_a_clear_error(data):
    whole = bytearray(riff(form(1, 2, RATE, 16), bytes(range(64))))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = read_sound(bytes(whole[: data.draw(st.integers(1, len(whole)))]))
    except InvalidArgumentError:
        return
    assert found.dtype == np.float32
    assert np.isfinite(found).all()


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000, 96000, 15999])
@pytest.mark.parametrize("hertz", [100.0, 1000.0, 3000.0])
def test_a_tone_stays_itself(rate, hertz):
    seconds = 0.4
    tone = np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate).astype(np.float32)
    found = resample(tone, rate, RATE)
    assert len(found) == -(-len(tone) * RATE // rate)
    expected = np.sin(2 * np.pi * hertz * np.arange(len(found)) / RATE)
    middle = slice(1600, len(found) - 1600)  # away from the silence around it
    assert np.abs(found - expected)[middle].max() < 2e-4


@pytest.mark.parametrize(
    ("rate", "hertz"), [(44100, 9000.0), (48000, 8100.0), (48000, 20000.0), (96000, 30000.0)]
)
def test_what_the_lower_rate_cannot_hold_is_gone(rate, hertz):
    tone = np.sin(2 * np.pi * hertz * np.arange(rate // 2) / rate).astype(np.float32)
    assert np.abs(resample(tone, rate, RATE)[1600:-1600]).max() < 10 ** (-85 / 20)


def test_a_single_sample_and_the_same_rate():
    assert len(resample(np.ones(1, np.float32), 48000, RATE)) == 1
    assert len(resample(np.ones(1, np.float32), 8000, RATE)) == 2
    values = noise(10)
    assert resample(values, RATE, RATE) is values
