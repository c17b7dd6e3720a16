"""Viterbi's search for trellis codes: against trying all, and every kernel against the scalar one."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from tests.kernels.rows import rows

from arrowmind import _native
from arrowmind.weights.formats import TRELLISES

SEED = 20261122
ROWS = [
    pytest.param(
        row["name"],
        marks=() if row["enabled"] else pytest.mark.skip(reason=f"{row['isa']} is not enabled here"),
    )
    for row in rows("trellis")
]


def encode(bits: int, values, scales, group, kernel=None, **given):
    codes, levels = np.zeros(values.shape, np.uint8), np.zeros(values.shape, np.float32)
    _native.trellis_encode(bits, values, scales, group, codes, levels, kernel=kernel, **given)
    return codes, levels


def problem(n: int, k: int, group: int):
    rng = np.random.default_rng([SEED, n, k])
    values = rng.standard_normal((n, k)).astype(np.float32)
    scales = rng.uniform(0.1, 0.3, (n, -(-k // group))).astype(np.float32)
    weight = rng.uniform(0.2, 2, k).astype(np.float32)
    return values, scales, weight


def error(values, scales, weight, group, levels):
    every = np.repeat(scales, group, axis=1)[:, : values.shape[1]]
    return ((values - levels * every) ** 2 * weight.astype(np.float64) ** 2).sum(axis=1)


@pytest.mark.parametrize("kernel", ROWS)
@pytest.mark.parametrize("bits", [2, 3])
def test_no_codes_lie_nearer(kernel, bits):
    """All codes of one sequence of five (2 bits) or four (3 bits) are tried."""
    steps = 5 if bits == 2 else 4
    trellis = TRELLISES[f"trellis{bits}"]
    values, scales, weight = problem(7, 4 * steps, 8)
    _, levels = encode(bits, values, scales, 8, kernel, weight=weight)
    every = np.array(list(itertools.product(range(1 << bits), repeat=steps)), np.uint8)
    spread = np.zeros((len(every), 4 * steps), np.uint8)
    spread[:, ::4] = every
    possible = trellis.levels(spread)[:, ::4]
    scale = np.repeat(scales, 8, axis=1)[:, : 4 * steps]
    for row, first in itertools.product(range(7), range(4)):
        apart = (values[row, first::4] - possible * scale[row, first::4]) * weight[first::4]
        least = (apart.astype(np.float64) ** 2).sum(axis=1).min()
        own = (values[row, first::4] - levels[row, first::4] * scale[row, first::4]) * weight[first::4]
        assert (own.astype(np.float64) ** 2).sum() <= least * (1 + 1e-5)


@pytest.mark.parametrize("kernel", ROWS)
@pytest.mark.parametrize("bits", [2, 3])
@pytest.mark.parametrize(
    ("n", "k", "group"), [(1, 1, 1), (3, 5, 128), (16, 129, 32), (37, 260, 128), (20, 64, 4)]
)
def test_every_kernel_finds_the_same_codes(kernel, bits, n, k, group):
    values, scales, weight = problem(n, k, group)
    states = np.random.default_rng(SEED).integers(0, 64 if bits == 2 else 16, (n, 4)).astype(np.uint8)
    for given in ({}, {"weight": weight}, {"states": states}, {"weight": weight, "threads": 2}):
        codes, levels = encode(bits, values, scales, group, kernel, **given)
        oracle, oracle_levels = encode(bits, values, scales, group, "trellis_f32_scalar", **given)
        assert np.array_equal(codes, oracle)
        assert np.array_equal(levels, oracle_levels)
        if "states" not in given:
            assert np.array_equal(levels, TRELLISES[f"trellis{bits}"].levels(codes))


@pytest.mark.parametrize("bits", [2, 3])
def test_a_row_in_two_parts_goes_on_where_the_first_ended(bits):
    trellis = TRELLISES[f"trellis{bits}"]
    values, scales, _ = problem(5, 48, 4)
    codes, _ = encode(bits, values[:, :24].copy(), scales[:, :6].copy(), 4)
    last = codes[:, 12:].astype(np.uint16).reshape(5, 3, 4)
    stream = last[:, 0] | last[:, 1] << bits | last[:, 2] << 2 * bits
    states = (stream >> (4 * bits - trellis.window)).astype(np.uint8)
    after, levels = encode(bits, values[:, 24:].copy(), scales[:, 6:].copy(), 4, states=states)
    whole = trellis.levels(np.concatenate([codes, after], axis=1))
    assert np.array_equal(whole[:, 24:], levels)


@pytest.mark.parametrize(("bits", "least"), [(2, 0.0835), (3, 0.0232)])
def test_gaussian_values_lose_less_than_on_any_grid(bits, least):
    values = np.random.default_rng(SEED).standard_normal((64, 1024)).astype(np.float32)
    scales = np.full((64, 1), {2: 0.19, 3: 0.0959}[bits], np.float32)
    _, levels = encode(bits, values, scales, 1024)
    assert ((values - levels * scales) ** 2).mean() < least * 1.03


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e38])
@pytest.mark.parametrize("bits", [2, 3])
def test_values_that_are_none_give_codes_all_the_same(bits, bad):
    values, scales, _ = problem(3, 40, 8)
    values[1, 7] = bad
    codes, _ = encode(bits, values, scales, 8)
    assert codes.max() < 1 << bits
    clean, _ = encode(bits, problem(3, 40, 8)[0], scales, 8)
    assert np.array_equal(codes[[0, 2]], clean[[0, 2]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bits": 4}, "2 or 3 bits"),
        ({"group": 0}, "a scale for each group"),
        ({"group": 16}, "a scale for each group"),
        ({"weight": np.ones(3, np.float32)}, "a weight for each column"),
        ({"states": np.ones((3, 3), np.uint8)}, "four states"),
        ({"kernel": "trellis_f32_none"}, "trellis_f32_none"),
        ({"threads": 0}, "threads"),
    ],
)
def test_what_does_not_go_together_is_refused(change, message):
    values, scales, _ = problem(3, 40, 8)
    given = {"bits": 2, "group": 8, **change}
    with pytest.raises(Exception, match=message):
        encode(given.pop("bits"), values, scales, given.pop("group"), **given)
