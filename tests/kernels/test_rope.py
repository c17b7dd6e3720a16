"""Every rotation of the table against float64 and each other, and the angles against a longer arithmetic."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from tests.kernels.rows import (
    SEED,
    assert_only_missing_isas_are_skipped,
    assert_same_bits,
    named,
    others,
    scalar,
)
from tests.reference.tolerance import UNIT

from arrowmind import _native
from arrowmind.errors import InvalidArgumentError

# Heads around the vectors of 16 lanes; the second number is how much of a head turns.
SHAPES = [(2, 2), (8, 8), (30, 30), (32, 32), (34, 20), (64, 64), (128, 64), (80, 80)]


def case(dim: int, rotated: int, heads: int = 3, rows: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(SEED + dim)
    x = rng.standard_normal((rows, heads * dim)).astype(np.float32)
    angles = rng.uniform(0, 100, (rows, rotated // 2))
    return x, np.concatenate([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def run(name: str, x: np.ndarray, heads: int, turns: np.ndarray, *, interleaved: bool = False) -> np.ndarray:
    turned = x.copy()
    _native.rope_run(name, turned, heads, turns, interleaved)
    return turned


def turns_of(first: int, frequencies: np.ndarray, rows: int, factor: float = 1.0) -> np.ndarray:
    out = np.empty((rows, 2 * len(frequencies)), np.float32)
    _native.rope_turns(first, frequencies, factor, out)
    return out


def test_only_missing_isas_are_skipped():
    assert_only_missing_isas_are_skipped("rope")


@pytest.mark.parametrize("name", named("rope"))
@pytest.mark.parametrize(("dim", "rotated"), SHAPES)
def test_matches_float64(name, dim, rotated):
    x, turns = case(dim, rotated)
    half = rotated // 2
    heads = x.astype(np.float64).reshape(len(x), 3, dim)
    low, high, rest = heads[..., :half], heads[..., half:rotated], heads[..., rotated:]
    cosine, sine = (part.astype(np.float64)[:, None] for part in np.split(turns, 2, axis=1))
    expected = np.concatenate([low * cosine - high * sine, high * cosine + low * sine, rest], axis=-1)
    bound = np.zeros_like(expected)
    bound[..., :rotated] = 3 * UNIT * np.tile(np.abs(low) + np.abs(high), 2)
    found = run(name, x, 3, turns).reshape(expected.shape)
    assert (np.abs(found - expected) <= bound).all()


@pytest.mark.parametrize("name", others("rope"))
@pytest.mark.parametrize(("dim", "rotated"), SHAPES)
def test_same_bits_as_scalar(name, dim, rotated):
    x, turns = case(dim, rotated)
    x[2, dim // 2] = np.nan
    assert_same_bits(run(name, x, 3, turns), run(scalar("rope"), x, 3, turns))


@pytest.mark.parametrize("name", named("rope"))
@pytest.mark.parametrize(("dim", "rotated"), SHAPES)
def test_neighbours_turn_as_halves_do(name, dim, rotated):
    x, turns = case(dim, rotated)
    order = np.arange(dim)
    order[:rotated] = np.arange(rotated).reshape(-1, 2).T.reshape(-1)
    halves = x.reshape(len(x), 3, dim)[..., order].reshape(len(x), -1).copy()
    found = run(name, x, 3, turns, interleaved=True).reshape(len(x), 3, dim)[..., order]
    assert_same_bits(found.reshape(len(x), -1), run(name, halves, 3, turns))


def test_bad_shapes_are_refused():
    x, turns = case(8, 8)
    with pytest.raises(InvalidArgumentError, match="heads wide"):
        run("rope_f32_scalar", x, 5, turns)
    with pytest.raises(InvalidArgumentError, match="part of a head"):
        run("rope_f32_scalar", x, 6, turns)


@pytest.mark.parametrize("first", [0, 1, 1000, 131_000, (1 << 31) - 9])
def test_turns_are_those_of_the_rounded_angle(first):
    frequencies = (1e4 ** (-np.arange(0, 64, 2) / 64)).astype(np.float32)
    angles = np.arange(first, first + 8).astype(np.float32)[:, None] * frequencies
    # NumPy's float64 functions reduce exactly; half a unit of float32 and a little for both ways.
    expected = np.concatenate([np.cos(angles.astype(np.float64)), np.sin(angles.astype(np.float64))], axis=1)
    found = turns_of(first, frequencies, 8)
    assert (np.abs(found - expected) <= UNIT * np.abs(expected) + 1e-14).all()


def test_turns_next_to_multiples_of_a_quarter():
    """Where the reduction cancels: float32 neighbours of k pi / 2, against a series on exact fractions."""
    half_pi = Fraction("1.57079632679489661923132169163975144209858469968755291")
    for k in (1, 2, 3, 1000, 123_456_789):
        for step in (-1, 0, 1):
            x = np.float32(k * np.pi / 2)
            x = np.nextafter(x, np.float32(np.inf) * step) if step else x
            r = Fraction(float(x)) - k * half_pi
            sine = float(r - r**3 / 6 + r**5 / 120 - r**7 / 5040)
            found = turns_of(1, np.array([x], np.float32), 1)[0]
            expected = [(None, sine), (-sine, None), (None, -sine), (sine, None)][k % 4]
            for value, wanted in zip(found, expected, strict=True):
                assert wanted is None or abs(r) > 0.5 or abs(value - wanted) <= UNIT * abs(wanted) + 1e-15


def test_turns_take_a_factor():
    frequencies = np.array([0.5, 0.1], np.float32)
    expected = turns_of(7, frequencies, 3) * np.float32(1.25)
    assert_same_bits(turns_of(7, frequencies, 3, 1.25), expected)
