"""Every pooling kernel of the table against float64, and against each other to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
from tests.kernels.rows import (
    SEED,
    WIDTHS,
    assert_only_missing_isas_are_skipped,
    assert_same_bits,
    named,
    others,
    scalar,
)
from tests.reference.pool import pool

from arrowmind import _native
from arrowmind.errors import InvalidArgumentError

LENGTHS = [1, 2, 0, 17, 128, 3, 0]


def run(name: str, x: np.ndarray, offsets: np.ndarray, mode: str, normalise: bool) -> np.ndarray:
    out = np.full((len(offsets) - 1, x.shape[1]), 77, np.float32)
    _native.pool_run(name, x, offsets, mode, normalise, out)
    return out


def case(width: int, lengths: list[int]) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(SEED + width)
    offsets = np.cumsum([0, *lengths], dtype=np.int32)
    return rng.standard_normal((offsets[-1], width)).astype(np.float32), offsets


def test_only_missing_isas_are_skipped():
    assert_only_missing_isas_are_skipped("pool")


@pytest.mark.parametrize("name", named("pool"))
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("mode", ["mean", "first", "last"])
@pytest.mark.parametrize("normalise", [False, True])
def test_matches_float64(name, width, mode, normalise):
    x, offsets = case(width, LENGTHS)
    expected, bound = pool(x, offsets, mode, normalise)
    assert (np.abs(run(name, x, offsets, mode, normalise) - expected) <= bound).all()


@pytest.mark.parametrize("name", others("pool"))
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("mode", ["mean", "first", "last"])
def test_same_bits_as_scalar(name, width, mode):
    x, offsets = case(width, LENGTHS)
    for normalise in (False, True):
        ours = run(name, x, offsets, mode, normalise)
        assert_same_bits(ours, run(scalar("pool"), x, offsets, mode, normalise))


@pytest.mark.parametrize("name", named("pool"))
def test_a_sequence_does_not_see_its_neighbours(name):
    x, offsets = case(100, LENGTHS)
    together = run(name, x, offsets, "mean", True)
    for s, length in enumerate(LENGTHS):
        own = x[offsets[s] : offsets[s + 1]]
        alone = run(name, own, np.array([0, length], np.int32), "mean", True)
        assert_same_bits(alone[0], together[s])


@pytest.mark.parametrize("name", named("pool"))
def test_unit_length_of_the_smallest(name):
    x = np.array([[0] * 20, [1e-20] + [0] * 19], np.float32)
    out = run(name, x, np.array([0, 1, 2], np.int32), "first", True)
    assert not out[0].any()
    assert out[1, 0] == np.float32(1e-20) / np.float32(1e-12)


@pytest.mark.parametrize("name", named("pool"))
def test_no_sequences(name):
    assert run(name, np.zeros((0, 5), np.float32), np.zeros(1, np.int32), "mean", True).shape == (0, 5)


@pytest.mark.parametrize("offsets", [[], [1, 3], [0, 2, 1, 3], [0, 2], [0, 4], [0, -1, 3]])
def test_bad_offsets_are_refused(offsets):
    x = np.zeros((3, 5), np.float32)
    with pytest.raises(InvalidArgumentError, match="offset"):
        _native.pool_run(
            "pool_f32_scalar",
            x,
            np.array(offsets, np.int32),
            "mean",
            True,
            np.zeros((max(len(offsets) - 1, 0), 5), np.float32),
        )
