"""Rows sorted by their experts, and products of each with its own (csrc/device/kernels.h), against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from tests.device.bench import Bench, Out, block, flags
from tests.device.test_kernels import floats
from tests.device.test_linear_kernels import (
    ON_GRIDS,
    PLAIN,
    agrees,
    generator,
    grid_operands,
    launch,
    plain_operands,
    plain_problem,
)
from tests.kernels.rows import SEED, assert_same_bits
from tests.reference.grid import grids_of, random_problem
from tests.reference.qmatmul import Form

FEW, MANY = 8, 32
# Rows of each matrix: none, one, a tile and more, those of several tiles.
COUNTS = (0, 1, 9, 0, 40, 3)
ROW_PLACES = ("a_scale", "a_zero", "a_sum")
MATRIX_PLACES = ("w", "w_scale", "w_zero", "w_sum", "outer")


def most_tiles(pairs: int, groups: int, tile: int) -> int:
    return min(pairs, pairs // tile + groups)


def tiles_of(counts, tile: int) -> np.ndarray:
    """uint32 [tiles, 3] as group_rows gives them."""
    starts = np.concatenate([[0], np.cumsum(counts)])
    found = []
    for group, count in enumerate(counts):
        first, end = (most_tiles(starts[i], i, tile) for i in (group, group + 1))
        taken = [min(i * tile, count) for i in range(end - first)]
        found += [(group, starts[group] + begin, min(tile, count - begin)) for begin in taken]
    return np.array(found, np.uint32).reshape(-1, 3)


def test_tiles_have_every_row_once():
    rng = np.random.default_rng(SEED)
    for _ in range(200):
        counts = rng.integers(0, rng.integers(1, 70), rng.integers(1, 40)) * rng.integers(0, 2, 1)
        tile = int(rng.choice([FEW, MANY]))
        tiles = tiles_of(counts, tile)
        assert len(tiles) == most_tiles(counts.sum(), len(counts), tile)
        assert tiles[:, 2].sum() == counts.sum()
        for group, first, rows in tiles[tiles[:, 2] > 0]:
            assert counts[:group].sum() <= first
            assert first + rows <= counts[: group + 1].sum()


def run_group_rows(bench: Bench, numbers: np.ndarray, experts: int, tile: int):
    rows, top = numbers.shape
    route = np.full((rows, 2 * top + 1), np.nan, np.float32)
    route[:, :top] = numbers
    pairs = rows * top
    tiles = Out(np.full((most_tiles(pairs, experts, tile), 3), 77, np.uint32))
    places = [route, Out(np.full(pairs, -7, np.int32)), Out(np.full(pairs, -7, np.int32)), tiles]
    sizes = {"rows": rows, "route_stride": 2 * top + 1, "top": top, "experts": experts, "tile": tile}
    return bench.run("group_rows", (experts, 1, 1), places, block("group_rows", **sizes))


@pytest.mark.parametrize(
    ("rows", "top", "experts"), [(1, 1, 1), (1, 8, 200), (9, 2, 8), (70, 4, 16), (33, 3, 60)]
)
def test_rows_are_sorted_by_their_experts(bench, rows, top, experts):
    rng = np.random.default_rng(SEED + rows)
    numbers = rng.integers(0, experts, (rows, top)).astype(np.float32)
    numbers[rows // 2 :] = numbers[0]  # one expert has many rows
    flat = numbers.reshape(-1).astype(int)
    order = np.argsort(flat, kind="stable")
    for tile in (FEW, MANY):
        start, to, tiles = run_group_rows(bench, numbers, experts, tile)
        np.testing.assert_array_equal(start, order // top)
        np.testing.assert_array_equal(to[order], np.arange(rows * top))
        np.testing.assert_array_equal(tiles, tiles_of(np.bincount(flat, minlength=experts), tile))


def test_numbers_of_no_expert(bench):
    numbers = np.array([[np.nan, -3], [1e9, np.inf], [2, -np.inf]], np.float32)
    start, to, tiles = run_group_rows(bench, numbers, 4, FEW)
    np.testing.assert_array_equal(start, [0, 0, 2, 2, 1, 1])
    np.testing.assert_array_equal(to, [0, 1, 4, 5, 3, 2])
    np.testing.assert_array_equal(tiles[tiles[:, 2] > 0], [[0, 0, 3], [2, 3, 1], [3, 4, 2]])


def test_results_are_added_up_from_where_they_are(bench):
    rng = np.random.default_rng(SEED)
    results, weights, residual = floats(rng, 10, 35), floats(rng, 5, 4), floats(rng, 5, 34)
    start = rng.permutation(10).astype(np.int32)
    sizes = {"width": 33, "top": 2, "in_stride": 35, "weights_stride": 4}
    for names in (("residual", "from"), ("from",)):
        parameters = block("combine", rows=5, **sizes, residual_stride=34, out_stride=34, flags=flags(*names))
        out = Out(residual.copy())
        (found,) = bench.run("combine", (33, 5, 1), [results, weights, out.array, out, start], parameters)
        products = (weights[:, 2:, None] * results[start].reshape(5, 2, 35)[:, :, :33]).sum(axis=1)
        wanted = residual[:, :33] + products if "residual" in names else products
        np.testing.assert_allclose(found[:, :33], wanted, atol=1e-5)


class Groups:
    """Problems of one kind, each with the first rows of its own that count."""

    def __init__(self, problems, operands) -> None:
        self.problems = problems
        self.operands = [operands(problem) for problem in problems]

    def joined(self, name: str, rows: bool):
        """What lies at a place, of all of them."""
        parts = [places.get(name) for _, places, _ in self.operands]
        if parts[0] is None:
            return None
        if rows:
            parts = [part[:count] for part, count in zip(parts, COUNTS, strict=True)]
        return np.concatenate([part.reshape(-1) for part in parts])

    def run(self, bench: Bench, name: str, tile: int) -> list[np.ndarray]:
        """What each of them gives."""
        (_, n, k), parameters = self.problems[0].shape, self.operands[0][2]
        a = np.concatenate([one[0][:count] for one, count in zip(self.operands, COUNTS, strict=True)])
        tiles, first, width = tiles_of(COUNTS, tile), 3, n + 7
        out = Out(np.full((sum(COUNTS), width), 77, np.float32))
        places = [a, *(self.joined(name, rows=True) for name in ROW_PLACES)]
        places += [*(self.joined(name, rows=False) for name in MATRIX_PLACES), tiles, None, out]
        shape = {"rows": len(tiles), "n": n, "k": k, "a_stride": a.shape[1], "c_stride": width}
        whole = block("linear", **shape, first_column=first, **parameters)
        (found,) = bench.run(name, (n, len(tiles), 1), places, whole)
        assert (found[:, :first] == 77).all()
        assert (found[:, first + n :] == 77).all()
        return np.split(found[:, first : first + n], np.cumsum(COUNTS)[:-1])

    def check(self, bench: Bench, name: str) -> None:
        """The numbers are right, and those that the plain kernel gives for few rows are the same bits."""
        for form, tile in (("_grouped", MANY), ("_grouped_few", FEW)):
            if form == "_grouped_few" and not bench.has(name + form):
                continue
            found = self.run(bench, name + form, tile)
            for result, problem, count in zip(found, self.problems, COUNTS, strict=True):
                agrees([result], *(part[:count] for part in problem.expected()))
        if not bench.has(name + "_grouped_few"):
            return
        for i, count in enumerate(COUNTS):
            if 0 < count <= FEW:
                a, places, parameters = self.operands[i]
                few = {key: part for key, part in places.items() if part is not None}
                results = launch(bench, name, self.problems[i], a, few, **parameters)
                assert_same_bits(found[i], results[-1][:count])


@pytest.mark.parametrize("weight", PLAIN)
def test_floats_times_groups(bench, weight):
    for zeros in (False, True) if weight == "i8" else (False,):
        form = Form("fp32", PLAIN[weight])
        problems = [plain_problem(form, (max(count, 1), 20, 37), (), zeros) for count in COUNTS]
        Groups(problems, plain_operands).check(bench, f"linear_f32_{weight}")


@pytest.mark.parametrize("zeros", [False, True])
def test_codes_times_groups_have_the_bits_of_the_cpu(bench, zeros):
    form = Form("int8", "int8")
    problems = [plain_problem(form, (max(count, 1), 33, 129), (), zeros) for count in COUNTS]
    groups = Groups(problems, plain_operands)
    for name, tile in (("linear_i8_i8_grouped", MANY), ("linear_i8_i8_grouped_few", FEW)):
        if not bench.has(name):
            continue
        for result, problem, count in zip(groups.run(bench, name, tile), problems, COUNTS, strict=True):
            assert_same_bits(result, problem.run("qmatmul_i8_i8_scalar")[:count])


@pytest.mark.parametrize("activation", ["f32", "i8b"])
@pytest.mark.parametrize("weight", ON_GRIDS)
def test_grids_times_groups(bench, activation, weight):
    grids = grids_of(ON_GRIDS[weight])
    for i in (0, 3, len(grids) - 1):
        rng = generator(grids[i], activation)
        problems = [
            random_problem(rng, grids[i], (max(count, 1), 20, 150), activation == "i8b") for count in COUNTS
        ]
        Groups(problems, grid_operands).check(bench, f"linear_{activation}_{weight}")


def test_words_times_groups(bench):
    """Codes of 16 bits."""
    rng = np.random.default_rng(SEED)
    rows, k, n, stride = sum(COUNTS), 37, 20, 40
    a = np.zeros((rows, stride), np.int16)
    a[:, :k] = rng.integers(-400, 401, (rows, k))
    w = rng.integers(-127, 128, (len(COUNTS), n, k)).astype(np.int8)
    packed = np.zeros((len(COUNTS), 32, stride), np.int8)
    packed[:, :n, :k] = w
    packed = np.ascontiguousarray(packed.reshape(len(COUNTS), 2, 16, 10, 4).transpose(0, 1, 3, 2, 4))
    scales = rng.uniform(0.001, 0.01, (len(COUNTS), 32)).astype(np.float32)
    a_scale, a_sum = rng.uniform(0.1, 1, rows).astype(np.float32), a.sum(axis=1, dtype=np.int32)
    for name, tile in (("linear_i16_i8_grouped", MANY), ("linear_i16_i8_grouped_few", FEW)):
        if not bench.has(name):
            continue
        tiles, out = tiles_of(COUNTS, tile), Out(np.zeros((rows, n), np.float32))
        places = [a, a_scale, None, a_sum, packed, scales, None, None, None, tiles, None, out]
        parameters = block("linear", rows=len(tiles), n=n, k=k, a_stride=stride, c_stride=n)
        (found,) = bench.run(name, (n, len(tiles), 1), places, parameters)
        group = np.repeat(np.arange(len(COUNTS)), COUNTS)
        sums = np.einsum("rk,rnk->rn", a[:, :k].astype(np.int64), w[group].astype(np.int64))
        wanted = sums.astype(np.float32) * (a_scale[:, None] * scales[group, :n])
        assert_same_bits(found, wanted.astype(np.float32))
