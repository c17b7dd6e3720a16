"""Every grid kernel of the qmatmul table against NumPy, and against the scalar row to the last bit."""

from __future__ import annotations

import itertools
import zlib

import numpy as np
import pytest
from tests.kernels.rows import SEED, assert_same_bits, rows
from tests.reference.grid import TYPES, grids_of, random_problem

from arrowmind import _native
from arrowmind.weights.formats import Grid

ROWS = [row for row in rows("qmatmul") if row["detail"].endswith("Grid")]
FORM = {row["name"]: row["detail"].split(" x ") for row in ROWS}
ORACLE = {tuple(FORM[row["name"]]): row["name"] for row in ROWS if row["isa"] == "scalar"}
# Around the register tiles (6, 12, 14), their halves and the smallest blocks of rows.
M = [*range(1, 15), 17, 29]


def parameters(activation: str | None = None, oracle: bool = True) -> list:
    """Names of rows; those this machine lacks are skipped with the reason."""
    return [
        pytest.param(
            row["name"],
            marks=() if row["enabled"] else pytest.mark.skip(reason=f"{row['isa']} is not enabled here"),
        )
        for row in ROWS
        if activation in (None, FORM[row["name"]][0]) and (oracle or row["isa"] != "scalar")
    ]


def generator(*key: object) -> np.random.Generator:
    seed = SEED + zlib.crc32(repr(key).encode())
    print(f"seed {seed}")
    return np.random.default_rng(seed)


def case(name: str, grid: Grid, shape: tuple[int, int, int], fill: str = "random"):
    return random_problem(generator(name, grid, shape), grid, shape, FORM[name][0] == "kI8Block", fill)


def grids(name: str) -> list[Grid]:
    return grids_of(TYPES[FORM[name][1]])


def agrees(name: str, problem) -> None:
    value, bound = problem.expected()
    found = problem.run(name)
    error = np.abs(found - value)
    assert (error <= bound).all(), f"{problem.shape}: {(error / np.maximum(bound, 1e-300)).max()} bounds off"
    assert_same_bits(found, problem.run(ORACLE[tuple(FORM[name])]))


def test_every_form_has_an_oracle():
    assert set(ORACLE) == {tuple(form) for form in FORM.values()}
    assert len(ORACLE) == 12


@pytest.mark.parametrize("name", parameters())
def test_every_grid(name):
    for grid in grids(name):
        agrees(name, case(name, grid, (3, 33, 300)))


@pytest.mark.parametrize("name", parameters())
@pytest.mark.parametrize("group", [16, 32, 128])
def test_every_number_of_rows(name, group):
    for m in M:
        zeros = FORM[name][1] in ("kI4Grid", "kI2Grid") and m % 2 == 0
        agrees(name, case(name, Grid(TYPES[FORM[name][1]], group, "fp16", zeros), (m, 20, 130)))


@pytest.mark.parametrize("name", parameters())
@pytest.mark.parametrize("k", [1, 3, 4, 16, 31, 32, 33, 127, 384, 1539])
def test_every_number_of_inputs(name, k):
    for group, n in ((32, 16), (64, 5), (0, 18)):
        grid = Grid(TYPES[FORM[name][1]], group, "fp16" if group else "fp32")
        agrees(name, case(name, grid, (2, n, k)))
        agrees(name, case(name, grid, (13, n, k)))


@pytest.mark.parametrize("name", parameters(oracle=False))
def test_several_blocks_of_rows(name):
    grid = Grid(TYPES[FORM[name][1]], 32, "fp16")
    agrees(name, case(name, grid, (230, 17, 160)))
    agrees(name, case(name, grid, (40, 16, 4100)))


@pytest.mark.parametrize("name", parameters("kI8Block"))
@pytest.mark.parametrize("fill", ["least", "most"])
@pytest.mark.parametrize("group", [16, 32, 64, 128])
def test_extremes_fill_the_budgets(name, fill, group):
    """Every product of a part has the same sign and the largest size; few rows have ways of their own."""
    for m in (1, 2, 7):
        agrees(name, case(name, Grid(TYPES[FORM[name][1]], group, "fp16"), (m, 18, 512), fill))


@pytest.mark.parametrize("name", parameters("kF32"))
def test_float_forms_multiply_by_the_values(name):
    """The bits are those of the float32 kernel on what the codes stand for."""
    for grid in grids(name)[::3]:
        problem = case(name, grid, (5, 33, 150))
        values = problem.weights.values()
        expected = np.full((5, 33), np.nan, np.float32)
        packed = _native.qmatmul_pack("fp32", values)
        _native.qmatmul_run("qmatmul_f32_f32_scalar", problem.a, 150, packed, expected)
        assert_same_bits(problem.run(name), expected)


@pytest.mark.parametrize("name", parameters())
def test_parts_make_the_whole(name):
    problem = case(name, Grid(TYPES[FORM[name][1]], 32, "fp16"), (5, 150, 70))
    whole = problem.run(name)
    parts = np.full_like(whole, np.nan)
    for begin, end in itertools.pairwise((0, 32, 48, 150)):
        part = problem.run(name, begin, end)
        assert np.isnan(part[:, :begin]).all()
        assert np.isnan(part[:, end:]).all()
        parts[:, begin:end] = part[:, begin:end]
    assert_same_bits(parts, whole)


@pytest.mark.parametrize("quant_type", list(TYPES.values()))
@pytest.mark.parametrize(("n", "k", "group"), [(1, 1, 32), (17, 40, 16), (16, 128, 0), (33, 300, 64)])
def test_packing_is_lossless(quant_type, n, k, group):
    bits = {"int8": 8, "int4": 4, "int2": 2, "fp4": 4, "trellis2": 2, "trellis3": 3}[quant_type]
    codes = generator(quant_type, n, k).integers(0, 1 << bits, (n, k)).astype(np.uint8)
    packed = _native.qmatmul_pack(quant_type, codes, group=group)
    out = np.zeros_like(codes)
    _native.qmatmul_unpack(quant_type, packed, out, group=group)
    assert np.array_equal(out, codes)


@pytest.mark.parametrize("quant_type", list(TYPES.values()))
def test_what_several_threads_pack_is_whole(quant_type):
    bits = {"int8": 8, "int4": 4, "int2": 2, "fp4": 4, "trellis2": 2, "trellis3": 3}[quant_type]
    codes = generator(quant_type).integers(0, 1 << bits, (4099, 2090)).astype(np.uint8)
    packed = _native.qmatmul_pack(quant_type, codes, group=32)
    panels = [_native.qmatmul_pack(quant_type, codes[i : i + 16], group=32) for i in range(0, len(codes), 16)]
    assert np.array_equal(packed, np.concatenate(panels))


@pytest.mark.parametrize(("quant_type", "planes"), [("int8", 1), ("int4", 2), ("int2", 4), ("fp4", 2)])
def test_layout_of_packed_codes(quant_type, planes):
    """Code (n, k) lies in byte [n / 16][k / 4 / planes][n % 16][k % 4], part k / 4 % planes; padding is 0."""
    bits = 8 // planes
    codes = generator(quant_type).integers(1, 1 << bits, (18, 40)).astype(np.uint8)
    packed = _native.qmatmul_pack(quant_type, codes, group=32).reshape(2, 64 // 4 // planes, 16, 4)
    for n in range(32):
        for k in range(64):
            byte = packed[n // 16, k // 4 // planes, n % 16, k % 4]
            code = byte >> k // 4 % planes * bits & (1 << bits) - 1
            assert code == (codes[n, k] if n < 18 and k < 40 else 0)
