"""Blocks against the NumPy reference, and against the gguf package where it is installed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.interchange.forge import write_gguf
from tests.reference import gguf as reference

from arrowmind import _native
from arrowmind.errors import InvalidArgumentError, WeightError

GRIDS = {"Q8_0": 2, "Q4_0": 2, "MXFP4": 1}


def random_blocks(rng, kind, count):
    """Any bytes; scales therefore are of every kind, NaN and infinity among them."""
    return rng.integers(0, 256, count * reference.SIZES[kind][1], dtype=np.uint8)


@pytest.mark.parametrize("kind", reference.SIZES)
def test_sizes(kind):
    assert _native.gguf_type(kind)[1:] == reference.SIZES[kind]
    assert _native.gguf_decode(kind, np.empty(0, np.uint8)).size == 0


@pytest.mark.parametrize("kind", reference.SIZES)
@pytest.mark.parametrize("count", [1, 2, 301])
def test_decoding_is_that_of_the_reference(kind, count, rng):
    blocks = random_blocks(rng, kind, count)
    found = _native.gguf_decode(kind, blocks)
    assert found.dtype == np.float32
    assert np.array_equal(found, reference.decode(kind, blocks), equal_nan=True)


@pytest.mark.parametrize("kind", reference.SIZES)
def test_decoding_is_that_of_the_gguf_package(kind, rng):
    gguf = pytest.importorskip("gguf", reason="pip install gguf")
    blocks = random_blocks(rng, kind, 500)
    if kind == "MXFP4":
        blocks[::17] %= 254  # the package takes exponents 254 and 255 for numbers
    with np.errstate(all="ignore"):
        theirs = gguf.quants.dequantize(blocks, gguf.GGMLQuantizationType[kind])
    assert np.array_equal(_native.gguf_decode(kind, blocks), theirs.astype(np.float32), equal_nan=True)


@pytest.mark.parametrize("kind", reference.SIZES)
def test_each_bit_of_a_block_matters_to_the_same_elements(kind, rng):
    size = reference.SIZES[kind][1]
    block = np.full(size, 0x6B, np.uint8)
    flipped = np.repeat(block[None], size * 8, axis=0)
    for bit in range(size * 8):
        flipped[bit, bit // 8] ^= 1 << bit % 8
    found = _native.gguf_decode(kind, flipped.reshape(-1))
    assert np.array_equal(found, reference.decode(kind, flipped), equal_nan=True)
    same = found.reshape(size * 8, -1) == _native.gguf_decode(kind, block)
    assert not same.all(axis=1).any()


def test_float16_rounds_as_numpy_does(rng):
    numbers = rng.integers(0, 2**32, 200_000, dtype=np.uint32).view(np.float32)
    edges = np.array([0, 2**-25, 3 * 2**-25, 2**-24, 2**-14, 65504, 65519.996, 2049, 2051, 1e-30], np.float32)
    tiny = np.ldexp(rng.normal(size=1000), -15).astype(np.float32)
    values = np.concatenate([numbers[np.abs(numbers) < 65520], edges, -edges, tiny])
    found = _native.gguf_encode("F16", values).view(np.uint16)
    assert np.array_equal(found, values.astype(np.float16).view(np.uint16))


@pytest.mark.parametrize("kind", ["F32", "BF16"])
def test_floats(kind, rng):
    values = rng.normal(size=1000).astype(np.float32)
    found = _native.gguf_decode(kind, _native.gguf_encode(kind, values))
    assert (np.abs(found - values) <= (0 if kind == "F32" else 2**-8 * np.abs(values))).all()


@pytest.mark.parametrize("kind", ["Q8_0", "Q4_0"])
def test_codes_are_the_nearest(kind, rng):
    values = (rng.normal(size=(3000, 32)) * 10.0 ** rng.integers(-6, 4, (3000, 1))).astype(np.float32)
    blocks = _native.gguf_encode(kind, values.reshape(-1))
    found = _native.gguf_decode(kind, blocks).reshape(values.shape)
    scale = np.abs(blocks.reshape(3000, -1)[:, :2].copy().view(np.float16).astype(np.float32))
    error = np.abs(found - values)
    high = 7 * scale if kind == "Q4_0" else 127 * scale  # beyond the last code an error may be larger
    inside = np.abs(values) <= high
    assert (error <= scale / 2 * (1 + 2**-20))[inside].all()
    assert (error <= scale * (1 + 2**-9))[~inside].all()


@pytest.mark.parametrize("kind", ["Q8_0", "Q4_0"])
def test_encoding_is_as_good_as_that_of_the_gguf_package(kind, rng):
    gguf = pytest.importorskip("gguf", reason="pip install gguf")
    values = rng.normal(size=32 * 4000).astype(np.float32)
    number = gguf.GGMLQuantizationType[kind]
    ours = _native.gguf_decode(kind, _native.gguf_encode(kind, values))
    theirs = gguf.quants.dequantize(gguf.quants.quantize(values, number), number)
    assert np.square(ours - values).mean() <= np.square(theirs - values).mean()


@pytest.mark.parametrize("kind", ["Q8_0", "Q4_0"])
def test_zeros_and_tiny_values(kind):
    for value in (0.0, -0.0, 1e-40, -1e-9):
        values = np.full(32, value, np.float32)
        found = _native.gguf_decode(kind, _native.gguf_encode(kind, values))
        assert np.abs(found - values).max() <= 2**-25


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 3e38, 1e7])
@pytest.mark.parametrize("kind", ["F16", "Q8_0", "Q4_0"])
def test_values_that_do_not_fit(kind, bad):
    values = np.ones(64, np.float32)
    values[40] = bad
    if bad == 1e7 and kind == "Q8_0":
        values[40] = 65504 * 130
    with pytest.raises(WeightError, match="too large"):
        _native.gguf_encode(kind, values)


def test_a_bf16_of_all_bits_set_is_no_zero():
    """Rounding added to the bits of this NaN, and the sum wrapped to zero."""
    with pytest.raises(WeightError, match="not finite"):
        _native.gguf_encode("BF16", np.full(1, 2**32 - 1, np.uint32).view(np.float32))


def test_arguments():
    with pytest.raises(InvalidArgumentError, match="no type 'Q9'"):
        _native.gguf_encode("Q9", np.zeros(32, np.float32))
    with pytest.raises(InvalidArgumentError, match="multiple of the block"):
        _native.gguf_encode("Q8_0", np.zeros(33, np.float32))
    with pytest.raises(WeightError, match="not written"):
        _native.gguf_encode("Q4_K", np.zeros(256, np.float32))
    with pytest.raises(InvalidArgumentError, match="multiple of the block"):
        _native.gguf_decode("Q8_0", np.zeros(33, np.uint8))
    with pytest.raises(InvalidArgumentError, match="not decoded"):
        _native.gguf_decode("IQ4_NL", np.zeros(18, np.uint8))
    with pytest.raises(InvalidArgumentError, match="no grid"):
        _native.gguf_join("Q4_1", np.zeros(32, np.uint8), np.zeros(2, np.uint8))
    with pytest.raises(InvalidArgumentError, match="do not fit"):
        _native.gguf_join("Q4_0", np.zeros(32, np.uint8), np.zeros(1, np.uint8))


@pytest.mark.parametrize("kind", GRIDS)
def test_grids_are_what_is_stored(kind, rng, tmp_path):
    blocks = random_blocks(rng, kind, 6)
    (tmp_path / "a").write_bytes(write_gguf({}, {"x": (kind, (2, 96), blocks.tobytes())}))
    file = _native.GgufFile.open(bytes(tmp_path / "a"))
    codes, scales = file.grid("x")
    assert codes.shape == (2, 96)
    assert scales.shape == (2, 3 * GRIDS[kind])
    if kind == "Q8_0":
        levels = codes.view(np.int8).astype(np.float32)
    else:
        assert codes.max() <= 15
        levels = codes.astype(np.float32) - 8 if kind == "Q4_0" else reference.E2M1[codes]
    if kind != "MXFP4":
        with np.errstate(all="ignore"):
            values = levels.reshape(6, 32) * scales.reshape(6, 2).view(np.float16).astype(np.float32)
        assert np.array_equal(values.reshape(2, 96), file.decode("x"), equal_nan=True)
    assert _native.gguf_join(kind, codes.reshape(-1), scales.reshape(-1)).tobytes() == blocks.tobytes()


@given(data=st.data(), kind=st.sampled_from(sorted(GRIDS)))
def test_split_and_join_are_inverse(data, kind, tmp_path_factory):
    size = reference.SIZES[kind][1]
    blocks = data.draw(st.binary(min_size=size, max_size=size))
    path = tmp_path_factory.mktemp("grid") / "a"
    path.write_bytes(write_gguf({}, {"x": (kind, (32,), blocks)}))
    codes, scales = _native.GgufFile.open(bytes(path)).grid("x")
    assert _native.gguf_join(kind, codes, scales).tobytes() == blocks
