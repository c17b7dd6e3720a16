"""Trellis codes: levels against a reading bit by bit, and where packed codes lie."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from arrowmind import _native
from arrowmind.errors import WeightError
from arrowmind.weights.formats import TRELLISES, Grid

NAMES = list(TRELLISES)


def read_bit_by_bit(name: str, codes: np.ndarray) -> np.ndarray:
    """As docs/formats/grids.md says it."""
    trellis = TRELLISES[name]
    levels = np.zeros(codes.shape)
    for row, values in enumerate(codes):
        for first in range(min(4, codes.shape[1])):
            stream: list[int] = [0] * 16
            for step, code in enumerate(values[first::4]):
                stream += [int(code) >> bit & 1 for bit in range(trellis.bits)]

                def nibble(end: int, stream: list[int] = stream) -> int:
                    return sum(bit << i for i, bit in enumerate(stream[end - 4 : end]))

                end = len(stream)
                total = int(trellis.first[nibble(end)])
                total += int(trellis.second[nibble(end - trellis.back * trellis.bits)])
                levels[row, first + 4 * step] = total - trellis.offset
    return levels


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=60, derandomize=True)
@given(data=st.data())
def test_levels_are_those_of_the_stream(name, data):
    shape = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 40)))
    top = (1 << TRELLISES[name].bits) - 1
    codes = data.draw(arrays.arrays(np.uint8, shape, elements=st.integers(0, top)))
    assert np.array_equal(TRELLISES[name].levels(codes), read_bit_by_bit(name, codes))


@pytest.mark.parametrize("name", NAMES)
def test_levels_are_centred_and_within_the_budgets(name):
    """15 * 254 * 2 and 2 * 254 * 61 and their like rest on it (csrc/kernels/grid/trellis.h)."""
    trellis = TRELLISES[name]
    largest = int(trellis.first.max()) + int(trellis.second.max())
    assert largest <= {"trellis2": 28, "trellis3": 61}[name]
    mean = float(trellis.first.mean() + trellis.second.mean())
    assert abs(mean - trellis.offset) < 1


def test_three_bits_run_through_three_bytes():
    """Codes of one k in four are a little-endian number of 24 bits; padding is 0."""
    codes = np.random.default_rng(3).integers(0, 8, (18, 70)).astype(np.uint8)
    packed = _native.qmatmul_pack("trellis3", codes, group=32).reshape(2, 3, 3, 16, 4).astype(np.uint32)
    streams = packed[:, :, 0] | packed[:, :, 1] << 8 | packed[:, :, 2] << 16
    for n in range(32):
        for k in range(96):
            code = streams[n // 16, k // 32, n % 16, k % 4] >> 3 * (k // 4 % 8) & 7
            assert code == (codes[n, k] if n < 18 and k < 70 else 0)


@pytest.mark.parametrize("name", NAMES)
def test_there_are_no_zero_points(name):
    with pytest.raises(WeightError, match="no zero points"):
        Grid(name, 128, "fp16", zero_points=True).check()
