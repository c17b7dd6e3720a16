"""The kernels that quantise activations in blocks against NumPy, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
from tests.kernels.rows import SEED, WIDTHS, assert_same_bits, named

from arrowmind import _native
from arrowmind.errors import InvalidArgumentError

GROUPS = [16, 32, 64, 128, 0]
SMALLEST = np.float32(2.0**-96)


def sizes(group: int) -> tuple[int, int]:
    """k of one scale, and k of one sum."""
    block = 128 if group == 0 else max(32, group)
    return block, 16 if group == 16 else block


def run(name: str, x: np.ndarray, group: int, multiplier: np.ndarray | None = None) -> tuple:
    block, part = sizes(group)
    rows, padded = len(x), -(-x.shape[1] // block) * block
    codes = np.full((rows, padded), 77, np.int8)
    scales = np.full((rows, padded // block), 77, np.float32)
    sums = np.full((rows, padded // part), 77, np.int32)
    _native.quantise_run_blocks(name, x, codes, scales, sums, group, multiplier)
    return codes, scales, sums


def expected(x: np.ndarray, group: int, multiplier: np.ndarray | None = None) -> tuple:
    block, part = sizes(group)
    values = x if multiplier is None else x * multiplier
    padded = np.zeros((len(x), -(-x.shape[1] // block) * block), np.float32)
    padded[:, : x.shape[1]] = values
    blocks = padded.reshape(len(x), -1, block)
    largest = np.abs(blocks).max(axis=2, keepdims=True)
    finite = np.isfinite(blocks).all(axis=2, keepdims=True)
    alive = finite & (largest >= SMALLEST)
    safe = np.where(alive, largest, 1).astype(np.float32)
    codes = np.where(alive, np.rint(np.where(alive, blocks, 0) * (np.float32(127) / safe)), 0)
    scales = np.where(alive, largest / np.float32(127), np.where(finite, 0, np.nan)).astype(np.float32)
    sums = codes.reshape(len(x), -1, part).sum(axis=2)
    return codes.reshape(len(x), -1).astype(np.int8), scales[:, :, 0], sums.astype(np.int32)


def check(name: str, x: np.ndarray, group: int, multiplier: np.ndarray | None = None) -> None:
    with np.errstate(invalid="ignore", over="ignore"):
        wanted = expected(x, group, multiplier)
    for ours, theirs in zip(run(name, x, group, multiplier), wanted, strict=True):
        assert_same_bits(ours, theirs)


@pytest.mark.parametrize("name", named("quantise", "quantise_f32_i8b_"))
@pytest.mark.parametrize("group", GROUPS)
def test_matches_numpy(name, group):
    for width in [*WIDTHS, 1536]:
        rng = np.random.default_rng(SEED + width)
        x = rng.standard_normal((5, width)) * 10.0 ** rng.integers(-20, 20, (5, 1))
        check(name, x.astype(np.float32), group)


@pytest.mark.parametrize("name", named("quantise", "quantise_f32_i8b_"))
def test_multiplier(name):
    rng = np.random.default_rng(SEED)
    x = rng.standard_normal((4, 200)).astype(np.float32)
    check(name, x, 32, rng.uniform(0.1, 10, 200).astype(np.float32))


@pytest.mark.parametrize("name", named("quantise", "quantise_f32_i8b_"))
def test_damage_stays_in_its_block(name):
    x = np.ones((6, 96), np.float32)
    x[0, 40], x[1, 70], x[2, 3], x[3, 32:64], x[4] = np.nan, np.inf, -np.inf, 0, 2.0**-100
    check(name, x, 32)


@pytest.mark.parametrize("name", named("quantise", "quantise_f32_i8b_"))
def test_wrong_shapes_are_refused(name):
    x = np.ones((2, 40), np.float32)
    sums = np.zeros((2, 2), np.int32)
    with pytest.raises(InvalidArgumentError, match="codes or scales"):
        scales = np.zeros((2, 2), np.float32)
        _native.quantise_run_blocks(name, x, np.zeros((2, 40), np.int8), scales, sums, 32)
    with pytest.raises(InvalidArgumentError, match="sums"):
        codes, scales = np.zeros((2, 64), np.int8), np.zeros((2, 2), np.float32)
        _native.quantise_run_blocks(name, x, codes, scales, sums[:, :1].copy(), 32)
