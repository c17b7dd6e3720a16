"""linear_<activations>_<weights> of csrc/device/kernels.h on every device, against NumPy."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from arrowmind.weights.formats import SCALE_TYPES, Grid
from tests.device.bench import Bench, Out, block, flags
from tests.kernels.rows import SEED, assert_same_bits
from tests.reference.grid import TYPES, GridProblem, grids_of, random_problem
from tests.reference.qmatmul import Form, Problem, code_limit, padded, rounded

PLAIN = {"f32": "fp32", "f16": "fp16", "bf16": "bf16", "i8": "int8"}
ON_GRIDS = {name.removeprefix("k").removesuffix("Grid").lower() + "g": kind for name, kind in TYPES.items()}
SCALES = list(SCALE_TYPES)
# Rows around the tiles of kernels, of few rows and of many; outputs and k that no tile divides.
SHAPES = [(1, 33, 100), (5, 16, 64), (8, 20, 37), (9, 50, 129), (35, 17, 260)]
EXTRAS = [(), ("bias",), ("residual",), ("bias", "gelu"), ("bias", "gelu", "residual")]


def generator(*key: object) -> np.random.Generator:
    return np.random.default_rng(SEED + zlib.crc32(repr(key).encode()))


def rounded_rows(bench: Bench, a: np.ndarray, k: int) -> np.ndarray:
    """The first k columns as round_rows writes them, uint16 [rows, k padded to 64]."""
    out = Out(np.full((len(a), padded(k, 64)), 77, np.uint16))
    parameters = block("round_rows", rows=len(a), width=k, in_stride=a.shape[1])
    (found,) = bench.run("round_rows", (padded(k, 64) // 16, len(a), 1), [a, out], parameters)
    return found


def launch(
    bench: Bench, name: str, problem: Problem | GridProblem, a: np.ndarray, places: dict, **parameters
):
    """Runs the kernel, and its form for few rows where there is one; gives the columns that it wrote."""
    m, n, k = problem.shape
    first, width = 3, n + 7
    if name.endswith("_wgmma"):
        places["a_scale"] = rounded_rows(bench, a, k)
    bias, residual = places.pop("bias", None), places.pop("residual", None)
    c = np.full((m, width), 77, np.float32)
    if residual is not None:
        c[:, first : first + n] = residual  # which may be the output itself
    out = Out(c)
    order = ["a_scale", "a_zero", "a_sum", "w", "w_scale", "w_zero", "w_sum", "outer"]
    memory = [a, *(places.get(one) for one in order), bias, c if residual is not None else None, out]
    used = parameters.pop("flags", 0) | (flags("bias") if bias is not None else 0)
    used |= flags("residual") if residual is not None else 0
    shape = {"rows": m, "n": n, "k": k, "a_stride": a.shape[1], "c_stride": width, "first_column": first}
    whole = block("linear", **shape, residual_stride=width, flags=used, **parameters)
    results = [bench.run(name, (n, m, 1), memory, whole)[0]]
    if m <= 8 and bench.has(name + "_few"):
        results += bench.run(name + "_few", (n, m, 1), memory, whole)
    for result in results:
        assert (result[:, :first] == 77).all()
        assert (result[:, first + n :] == 77).all()
    return [result[:, first : first + n] for result in results]


def agrees(found: list[np.ndarray], expected: np.ndarray, bound: np.ndarray) -> None:
    for result in found:
        error = np.abs(result - expected)
        assert (error <= bound).all(), f"{(error / np.maximum(bound, 1e-300)).max()} bounds off"


def plain_problem(form: Form, shape: tuple[int, int, int], extras: tuple, zeros: bool) -> Problem:
    m, n, k = shape
    rng = generator(form, shape, extras, zeros)
    given = {}
    if form.integer:
        a = rng.integers(-128, 128, (m, k)).astype(np.int8)
        given["a_scale"] = rng.uniform(0.001, 0.01, m).astype(np.float32)
        given["a_zero"] = rng.integers(-128, 128, m).astype(np.int32)
    else:
        a = rng.standard_normal((m, k)).astype(np.float32)
    if form.weight == "int8":
        w = rng.integers(-127, 128, (n, k)).astype(np.int8)
        given["w_scale"] = rng.uniform(0.001, 0.01, n).astype(np.float32)
        if zeros:
            given["w_zero"] = rng.integers(-128, 128, n).astype(np.float32)
    else:
        w = rng.standard_normal((n, k)).astype(np.float32)
        w = w if form.weight == "fp32" else rounded(w, form.weight)
    if "bias" in extras:
        given["bias"] = rng.standard_normal(n).astype(np.float32)
    if "residual" in extras:
        given["residual"] = rng.standard_normal((m, n)).astype(np.float32)
    return Problem(form, a, w, gelu="gelu" in extras, **given)


def plain_operands(problem: Problem) -> tuple[np.ndarray, dict, dict]:
    """The rows, what lies at the other places, and parameters."""
    m, n, k = problem.shape
    a = np.full((m, padded(k, 4) + 8), 111 if problem.form.integer else np.nan, problem.a.dtype)
    a[:, : padded(k, 4)] = 0 if problem.form.integer else np.nan
    a[:, :k] = problem.a
    sums = problem.a.sum(axis=1, dtype=np.int32) if problem.form.integer else None
    if problem.a_zero is not None:
        sums = (sums - k * problem.a_zero).astype(np.int32)

    def per_output(values, dtype):
        if values is None:
            return None
        whole = np.zeros(padded(n, 16), dtype)
        whole[:n] = values
        return whole

    places = {
        "a_scale": problem.a_scale,
        "a_zero": problem.a_zero,
        "a_sum": sums,
        "w": problem.packed,
        "w_scale": per_output(problem.w_scale, np.float32),
        "w_zero": per_output(problem.w_zero, np.float32),
        "w_sum": per_output(problem.w.sum(axis=1), np.int32) if problem.form.integer else None,
        "bias": problem.bias,
        "residual": problem.residual,
    }
    used = flags(*(["gelu"] if problem.gelu else []), *(["zeros"] if problem.w_zero is not None else []))
    used |= flags("a_zero") if problem.a_zero is not None else 0
    return a, places, {"flags": used}


def run_plain(bench: Bench, name: str, problem: Problem) -> list[np.ndarray]:
    a, places, parameters = plain_operands(problem)
    return launch(bench, name, problem, a, places, **parameters)


@pytest.mark.parametrize("weight", PLAIN)
def test_floats_times_rows(bench, weight):
    for i, shape in enumerate(SHAPES):
        for zeros in (False, True) if weight == "i8" else (False,):
            problem = plain_problem(Form("fp32", PLAIN[weight]), shape, EXTRAS[i], zeros)
            agrees(run_plain(bench, f"linear_f32_{weight}", problem), *problem.expected())


def test_halves_of_every_size(bench):
    """Each finite half is multiplied by one: among them are those below the normal range."""
    halves = np.arange(65536, dtype=np.uint16).view(np.float16).astype(np.float32)
    w = halves[np.isfinite(halves)].reshape(-1, 16)
    problem = Problem(Form("fp32", "fp16"), np.eye(16, dtype=np.float32), w)
    np.testing.assert_array_equal(run_plain(bench, "linear_f32_f16", problem)[0], w.T)


@pytest.mark.parametrize("extras", EXTRAS, ids="+".join)
def test_codes_times_codes_have_the_bits_of_the_cpu(bench, extras):
    for shape in SHAPES:
        for zeros in (False, True):
            problem = plain_problem(Form("int8", "int8"), shape, extras, zeros)
            found = run_plain(bench, "linear_i8_i8", problem)
            if problem.gelu:
                agrees(found, *problem.expected())
                continue
            for result in found:
                assert_same_bits(result, problem.run("qmatmul_i8_i8_scalar"))


@pytest.mark.parametrize("k", [512, 4096])
def test_the_largest_sums_of_codes(bench, k):
    """More than 24 bits, where a product that is rounded before it is added shows."""
    rng = generator(k)
    a = rng.choice(np.array([-128, 127], np.int8), (3, k))
    w = rng.choice(np.array([-127, 127], np.int8), (16, k))
    w[0], a[0] = 127, 127
    given = {
        "a_scale": np.full(3, 0.37, np.float32),
        "a_zero": np.array([-128, 127, 3], np.int32),
        "w_scale": np.full(16, 0.11, np.float32),
        "w_zero": rng.integers(-(2**10), 2**10, 16).astype(np.float32),
    }
    problem = Problem(Form("int8", "int8"), a, w, **given)
    for result in run_plain(bench, "linear_i8_i8", problem):
        assert_same_bits(result, problem.run("qmatmul_i8_i8_scalar"))


@pytest.mark.parametrize("k", [580, 1032])
def test_sums_at_the_end_of_32_bits(bench, k):
    """2^31 - 8, which as a float is 2^31."""
    limit = code_limit("int16", k)
    assert limit * 127 * k == 2**31 - 8
    a = np.full((3, k), limit, np.int16)
    a[1], a[2, ::2] = -limit, -limit
    w = np.full((17, k), 127, np.int8)
    w[1::2] = -127
    given = {"a_scale": np.full(3, 0.37, np.float32), "w_scale": np.full(17, 0.11, np.float32)}
    for zero in (None, np.arange(-8, 9, dtype=np.float32)):
        problem = Problem(Form("int16", "int8"), a, w, w_zero=zero, **given)
        for result in run_plain(bench, "linear_i16_i8", problem):
            assert_same_bits(result, problem.run("qmatmul_i16_i8_scalar"))


def grid_operands(problem: GridProblem) -> tuple[np.ndarray, dict, dict]:
    """The rows, what lies at the other places, and parameters."""
    grid: Grid = problem.weights.grid
    described, k = problem.description, problem.shape[2]
    places = {
        "w": described["codes"],
        "w_scale": described["scales"],
        "w_zero": described["zero_points"],
        "outer": described["outer"],
    }
    parameters = {
        "group": grid.group_size,
        "groups": grid.groups(k),
        "scale_type": SCALES.index(grid.scale_type),
        "flags": flags(
            *(["zeros"] if grid.zero_points else []), *(["outer"] if described["outer"] is not None else [])
        ),
    }
    a = np.full((len(problem.a), k + 5), np.nan, np.float32)
    a[:, :k] = problem.a
    if problem.integer:
        sums = problem.part_sums()
        a = np.zeros((len(problem.a), padded(k, grid.block)), np.int8)
        a[:, :k] = problem.a
        places |= {"a_scale": problem.a_scale, "a_sum": sums}
        parameters |= {"blocks": problem.a_scale.shape[1], "parts": sums.shape[1]}
        parameters |= {"block": grid.block, "part": problem.part}
    return a, places, parameters


def run_grid(bench: Bench, name: str, problem: GridProblem) -> list[np.ndarray]:
    a, places, parameters = grid_operands(problem)
    return launch(bench, name, problem, a, places, **parameters)


@pytest.mark.parametrize("activation", ["f32", "i8b"])
@pytest.mark.parametrize("weight", ON_GRIDS)
def test_grids(bench, activation, weight):
    for i, grid in enumerate(grids_of(ON_GRIDS[weight])):
        shape = SHAPES[i % len(SHAPES)]
        problem = random_problem(generator(grid, shape), grid, shape, activation == "i8b")
        agrees(run_grid(bench, f"linear_{activation}_{weight}", problem), *problem.expected())


@pytest.mark.parametrize("name", ["f32_f32", "f32_i8", "i8_i8"])
def test_a_damaged_row_stays_alone(bench, name):
    activation, weight = name.split("_")
    problem = plain_problem(Form(PLAIN[activation], PLAIN[weight]), (11, 20, 40), ("bias",), False)
    whole = run_plain(bench, f"linear_{name}", problem)[0]
    if problem.form.integer:
        problem.a_scale[4] = np.nan
    else:
        problem.a[4, 7] = np.nan
    damaged = run_plain(bench, f"linear_{name}", problem)[0]
    assert np.isnan(damaged[4]).all()
    rest = np.arange(11) != 4
    assert_same_bits(damaged[rest], whole[rest])
