"""Kernels of encoders of images and sound, on every device, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from tests.device.bench import Out, block
from tests.kernels.rows import SEED
from tests.reference.tolerance import UNIT


def floats(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize(("rows", "width"), [(1, 1), (5, 70), (9, 300)])
def test_columns_of_the_row_before(bench, rows, width):
    rng = np.random.default_rng(SEED + width)
    x, y = floats(rng, rows, width + 9), floats(rng, rows, width + 5)
    position = np.array([0, 1, 2, 0, 0, 1, 2, 3, 4][:rows], np.int32)
    wanted = y.copy()
    wanted[:, 3 : 3 + width] = np.where(position[:, None] > 0, np.roll(x, 1, axis=0)[:, 2 : 2 + width], 0)
    parameters = block(
        "copy", rows=rows, width=width, count=1, in_stride=x.shape[1], out_stride=y.shape[1],
        from_first=2, to_first=3,
    )  # fmt: skip
    (found,) = bench.run("previous", (width, rows, 1), [x, position, Out(y)], parameters)
    np.testing.assert_array_equal(found, wanted)


def looked_at(q, looked, offsets, sequence_of, heads, first):
    """In float64: the results, and how far float32 may be from them."""
    dim = q.shape[1] // heads
    out, bound = np.zeros(q.shape), np.zeros(q.shape)
    for row, sequence in enumerate(sequence_of):
        own = looked[offsets[sequence] : offsets[sequence + 1]].astype(np.float64)
        for head in range(heads):
            columns = slice(head * dim, (head + 1) * dim)
            k, v = (own[:, at + head * dim :][:, :dim] for at in first)
            scores = k @ q[row, columns].astype(np.float64) / np.sqrt(dim)
            size = (np.abs(k) @ np.abs(q[row, columns]) / np.sqrt(dim)).max()
            powers = np.exp(scores - scores.max())
            weights = powers / powers.sum()
            out[row, columns] = weights @ v
            relative = 4 * (dim + 6) * UNIT * size + (len(own) + 16) * UNIT
            bound[row, columns] = weights @ np.abs(v) * relative + 2.0**-120 * np.abs(v).sum(axis=0)
    return out, bound


@pytest.mark.parametrize("dim", [1, 15, 16, 64, 80, 300])
@pytest.mark.parametrize("lengths", [[1], [17, 1, 64], [65, 1500]])
def test_attention_to_rows_of_others(bench, dim, lengths):
    rng = np.random.default_rng(SEED + dim)
    heads, first = 2, (3, 3 + 2 * dim + 2)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    sequence_of = np.repeat(np.arange(len(lengths), dtype=np.int32), 2)
    q, looked = (
        floats(rng, len(sequence_of), heads * dim),
        floats(rng, offsets[-1], first[1] + heads * dim + 1),
    )
    wide = np.pad(q, ((0, 0), (0, 3)), constant_values=np.nan)
    out = np.full((len(q), heads * dim + 2), 7, np.float32)
    parameters = block(
        "cross_attention", rows=len(q), sequences=len(lengths), heads=heads, head_dim=dim,
        q_stride=wide.shape[1], out_stride=out.shape[1], looked_stride=looked.shape[1],
        keys=first[0], values=first[1], scale=1 / np.sqrt(dim),
    )  # fmt: skip
    places = [wide, looked, offsets, sequence_of, Out(out)]
    (found,) = bench.run("cross_attention", (1, len(q), heads), places, parameters)
    assert (found[:, heads * dim :] == 7).all()
    expected, bound = looked_at(q, looked, offsets, sequence_of, heads, first)
    error = np.abs(found[:, : heads * dim] - expected)
    assert (error <= bound).all(), (error / bound).max()


def test_what_is_no_number_stays_in_its_row(bench):
    rng = np.random.default_rng(SEED)
    q, looked = floats(rng, 3, 16), floats(rng, 20, 32)
    q[1, 4] = np.nan
    parameters = block(
        "cross_attention", rows=3, sequences=1, heads=1, head_dim=16, q_stride=16, out_stride=16,
        looked_stride=32, keys=0, values=16, scale=0.25,
    )  # fmt: skip
    places = [
        q,
        looked,
        np.array([0, 20], np.int32),
        np.zeros(3, np.int32),
        Out(np.zeros((3, 16), np.float32)),
    ]
    (found,) = bench.run("cross_attention", (1, 3, 1), places, parameters)
    assert np.isnan(found[1]).all()
    assert np.isfinite(found[[0, 2]]).all()
