"""embed of csrc/device/kernels.h on every device: each type of table, given and first rows, set and added."""

from __future__ import annotations

import numpy as np
import pytest

from arrowmind.weights.formats import SCALE_TYPES
from tests.device.bench import Out, block, flags
from tests.kernels.rows import SEED
from tests.kernels.test_embed import table
from tests.reference.grid import grids_of, random_codes

ROWS, TOKENS = 9, 7
PLAIN = {"fp32": 0, "fp16": 1, "int8": 3, "int8 with zero points": 3}
GRIDS = {"int8": 4, "int4": 5, "int2": 6, "fp4": 7}


def run(bench, width, places, wanted, index, element, row_bytes, used, **grid):
    """All four forms: rows given or the first for all, put or added."""
    rng = np.random.default_rng(width)
    data, scales, zeros, outer = places
    for first, adds in ((False, False), (False, True), (True, False), (True, True)):
        out = rng.standard_normal((TOKENS, width + 2)).astype(np.float32)
        parameters = block(
            "embed",
            rows=TOKENS,
            width=width,
            out_stride=width + 2,
            row_bytes=row_bytes,
            element=element,
            index=1 if first else 0,
            flags=used | (flags("accumulate") if adds else 0),
            **grid,
        )
        memory = [None if first else index, data, scales, zeros, outer, Out(out)]
        (found,) = bench.run("embed", (width, TOKENS, 1), memory, parameters)
        rows = wanted[np.zeros(TOKENS, int) if first else index]
        np.testing.assert_array_equal(found[:, :width], out[:, :width] + rows if adds else rows)
        np.testing.assert_array_equal(found[:, width:], out[:, width:])


@pytest.mark.parametrize("kind", PLAIN)
@pytest.mark.parametrize("width", [1, 37, 130])
def test_tables(bench, kind, width):
    rng = np.random.default_rng(SEED + width)
    index = rng.integers(0, ROWS, TOKENS, dtype=np.int32)
    rows = table(rng, kind, ROWS, width)
    used = flags("zeros") if rows.zero is not None else 0
    places = (rows.data, rows.scale, rows.zero, None)
    wanted = rows.rows(np.arange(ROWS))
    run(bench, width, places, wanted, index, PLAIN[kind], width * rows.data.itemsize, used)


def test_tables_of_bfloats(bench):
    rng = np.random.default_rng(SEED)
    index = rng.integers(0, ROWS, TOKENS, dtype=np.int32)
    bits = rng.integers(0x0100, 0x7F80, (ROWS, 37), dtype=np.uint16)  # no denormals: devices may drop them
    bits[1] |= 0x8000
    wanted = (bits.astype(np.uint32) << 16).view(np.float32)
    run(bench, 37, (bits, None, None, None), wanted, index, 2, 2 * 37, 0)


@pytest.mark.parametrize("kind", GRIDS)
def test_tables_on_grids(bench, kind):
    rng = np.random.default_rng(SEED)
    index = rng.integers(0, ROWS, TOKENS, dtype=np.int32)
    for i, grid in enumerate(grids_of(kind)):
        width = (33, 130, 64)[i % 3]
        weights = random_codes(rng, grid, ROWS, width)
        data, scales, zeros, outer = weights.packed("row")
        names = [*(["zeros"] if grid.zero_points else []), *(["outer"] if outer.size else [])]
        places = (data, scales, zeros if grid.zero_points else None, outer if outer.size else None)
        run(
            bench,
            width,
            places,
            weights.values(),
            index,
            GRIDS[kind],
            len(data) // ROWS,
            flags(*names),
            group=grid.group_size,
            groups=grid.groups(width),
            scale_type=list(SCALE_TYPES).index(grid.scale_type),
        )
