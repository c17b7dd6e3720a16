"""Every qmatmul kernel of the table against NumPy, and against the scalar row to the last bit."""

from __future__ import annotations

import itertools
import re
import zlib
from dataclasses import replace

import numpy as np
import pytest
from tests.kernels.rows import SEED, assert_only_missing_isas_are_skipped, assert_same_bits, rows
from tests.reference.qmatmul import CODES, Form, Problem, code_limit, rounded

from arrowmind import _native
from arrowmind.errors import InvalidArgumentError

# Grids and products of bfloat16 have tests of their own.
ROWS = [row for row in rows("qmatmul") if not re.match(r"kBf16|.*Grid", row["detail"])]
FORM = {row["name"]: Form.of(row) for row in ROWS}
ORACLE = {FORM[row["name"]]: row["name"] for row in ROWS if row["isa"] == "scalar"}

# Rows around the register tiles (6, 12, 14) and their halves; outputs around the panel of 16 and pairs of it;
# k around fours, and beyond the chunks of k and of one decoded panel (64, 128 and 256 fours).
M = [*range(1, 18), 28, 29]
N = [1, 15, 16, 17, 31, 32, 33, 48, 150]
K = [1, 3, 4, 5, 64, 384, 1539]
FILLS = ["zeros", "ones", "extremes", "least", "random"]


def parameters(integer: bool | None = None, oracle: bool = True) -> list:
    """Names of rows; those this machine lacks are skipped with the reason."""
    return [
        pytest.param(
            row["name"],
            marks=() if row["enabled"] else pytest.mark.skip(reason=f"{row['isa']} is not enabled here"),
        )
        for row in ROWS
        if (integer is None or FORM[row["name"]].integer == integer) and (oracle or row["isa"] != "scalar")
    ]


def generator(*key: object) -> np.random.Generator:
    """Seeded by the case, so that a failure is repeated by its parameters alone."""
    seed = SEED + zlib.crc32(repr(key).encode())
    print(f"seed {seed}")
    return np.random.default_rng(seed)


def codes(rng: np.random.Generator, shape: tuple[int, int], limit: int, dtype: type, fill: str) -> np.ndarray:
    least = -limit - (dtype is np.int8)
    if fill == "random":
        return rng.integers(least, limit + 1, shape).astype(dtype)
    if fill == "extremes":
        return rng.choice([least, limit], shape).astype(dtype)
    return np.full(shape, {"zeros": 0, "ones": 1, "least": least}[fill], dtype)


def bounded(w: np.ndarray, form: Form) -> np.ndarray:
    """Codes as the form takes them: each keeps within what those it is bound to leave of 128 on its side."""
    if form.weight in ("int8-paired", "int8-fours"):
        n, k = w.shape
        above, below = np.full((k + 2, n), 128), np.full((k + 2, n), -128)
        for i in range(k):
            group = i // 2 if form.weight == "int8-paired" else i // 8 * 2 + i % 4 // 2
            w[:, i] = np.clip(w[:, i], below[group], above[group])
            above[group] -= np.maximum(w[:, i], 0)
            below[group] -= np.minimum(w[:, i], 0)
    return w


def floats(rng: np.random.Generator, shape: tuple[int, int], dtype: type, fill: str) -> np.ndarray:
    if fill == "random":
        return (rng.standard_normal(shape) * 10.0 ** rng.integers(-2, 3, (shape[0], 1))).astype(dtype)
    if fill == "extremes":
        return rng.choice([-1.0, 1.0, -(2.0**-14), 2.0**15, 0.0, -0.0], shape).astype(dtype)
    return np.full(shape, {"zeros": 0, "ones": 1, "least": 2.0**-24}[fill], dtype)


def of_type(values: np.ndarray, name: str) -> np.ndarray:
    return rounded(values, name) if name == "bf16" else values


def problem(
    rng: np.random.Generator,
    form: Form,
    shape: tuple[int, int, int],
    fill: str = "random",
    zero: bool = False,
    shifted: bool = True,
    epilogue: str = "",
    **options: object,
) -> Problem:
    """`epilogue` holds b, g, r for bias, GELU, residual."""
    m, n, k = shape
    is_i8 = form.weight.startswith("int8")
    limit = code_limit(form.activation, k)
    return Problem(
        form,
        a=codes(rng, (m, k), limit, CODES[form.activation], fill)
        if form.integer
        else floats(rng, (m, k), np.float32, fill),
        w=bounded(np.maximum(codes(rng, (n, k), 127, np.int8, fill), -127), form)
        if is_i8
        else of_type(floats(rng, (n, k), CODES[form.weight], fill), form.weight),
        a_scale=(rng.uniform(0.5, 1, m) / limit).astype(np.float32) if form.integer else None,
        a_zero=rng.integers(-128, 128, m).astype(np.int32) if form.activation == "int8" and shifted else None,
        w_scale=rng.uniform(0.001, 0.01, n).astype(np.float32) if is_i8 else None,
        w_zero=rng.integers(-30, 31, n).astype(np.float32) if is_i8 and zero else None,
        bias=rng.standard_normal(n).astype(np.float32) if "b" in epilogue else None,
        residual=rng.standard_normal((m, n)).astype(np.float32) if "r" in epilogue else None,
        gelu="g" in epilogue,
        **options,
    )


def agrees_with_numpy(name: str, case: Problem) -> None:
    value, bound = case.expected()
    error = np.abs(case.run(name) - value)
    assert (error <= bound).all(), f"{case.shape}: {(error / np.maximum(bound, 1e-300)).max()} bounds off"


def test_only_missing_isas_are_skipped():
    assert_only_missing_isas_are_skipped("qmatmul")
    assert set(ORACLE) == set(FORM.values())


@pytest.mark.parametrize("name", parameters())
@pytest.mark.parametrize("fill", FILLS)
def test_every_number_of_rows(name, fill):
    form = FORM[name]
    for m in M:
        for k in (5, 64):
            case = problem(generator(name, m, k), form, (m, 33, k), fill, zero=m % 2 == 0)
            agrees_with_numpy(name, case)
            assert_same_bits(case.run(name), case.run(ORACLE[form]))


@pytest.mark.parametrize("name", parameters())
@pytest.mark.parametrize("k", K)
def test_every_number_of_outputs_and_inputs(name, k):
    form = FORM[name]
    for n in N:
        for m in (1, 2, 7, 19):
            case = problem(generator(name, n, k, m), form, (m, n, k), epilogue="b" * (n % 2))
            agrees_with_numpy(name, case)
            assert_same_bits(case.run(name), case.run(ORACLE[form]))


@pytest.mark.parametrize("name", parameters())
def test_several_blocks_of_rows(name):
    form = FORM[name]
    for m, n, k in ((97, 33, 8), (230, 17, 70), (40, 20, 4100)):
        case = problem(generator(name, m, n, k), form, (m, n, k))
        agrees_with_numpy(name, case)
        assert_same_bits(case.run(name), case.run(ORACLE[form]))


@pytest.mark.parametrize("name", parameters())
@pytest.mark.parametrize("zero", [False, True])
@pytest.mark.parametrize("epilogue", ["", "b", "g", "r", "bg", "br", "bgr"])
def test_epilogue(name, zero, epilogue):
    form = FORM[name]
    for shape in ((1, 16, 64), (9, 37, 50)):
        case = problem(generator(name, zero, epilogue), form, shape, zero=zero, epilogue=epilogue)
        agrees_with_numpy(name, case)
        assert_same_bits(case.run(name), case.run(ORACLE[form]))


@pytest.mark.parametrize("name", parameters(integer=True))
@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("k", [1, 4, 384, 1539, 16384])
def test_integer_sums_are_exact(name, fill, k):
    """Extremes fill the budget of int32: every product is limit * 127 of one sign."""
    case = problem(generator(name, fill, k), FORM[name], (7, 18, k), fill, epilogue="br")
    assert_same_bits(case.run(name), case.exact())


@pytest.mark.parametrize(
    "name", [p for p in parameters(integer=True) if FORM[p.values[0]].weight == "int8-fours"]
)
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("group", [(127, 0, 1, 0), (64, 0, 64, 0), (1, 0, 0, 127), (32, 32, 32, 32)])
def test_sums_of_fours_fill_16_bits(name, group, sign):
    """Biased activations of 255 meet codes that add up to 128, and codes of the other side nothing."""
    case = problem(generator(name), FORM[name], (7, 18, 64), shifted=False)
    first, second = group[:2], group[2:]
    eight = sign * np.array([*first, *first, *second, *second], np.int8)
    w = np.tile(eight, (18, 8))
    for even in (127, -128):
        a = np.full((7, 64), 127, np.int8)
        a[:, ::2] = even
        filled = replace(case, a=a, w=w)
        assert_same_bits(filled.run(name), filled.exact())


@pytest.mark.parametrize("name", parameters())
def test_parts_make_the_whole(name):
    case = problem(generator(name), FORM[name], (5, 150, 70), zero=True, epilogue="bgr")
    whole = case.run(name)
    for cuts in ((0, 16, 150), (0, 32, 48, 144, 150), (0, 150)):
        parts = np.full_like(whole, np.nan)
        for begin, end in itertools.pairwise(cuts):
            part = case.run(name, begin, end)
            assert np.isnan(part[:, :begin]).all()
            assert np.isnan(part[:, end:]).all()
            parts[:, begin:end] = part[:, begin:end]
        assert_same_bits(parts, whole)
    assert np.isnan(case.run(name, 32, 32)).all()


@pytest.mark.parametrize("name", parameters())
def test_a_row_does_not_depend_on_its_neighbours(name):
    """The promise behind micro-batches: the bits of a row are those it has alone."""
    form = FORM[name]
    rng = generator(name)
    case = problem(rng, form, (33, 40, 200), zero=True, epilogue="bgr")
    whole = case.run(name)
    for row in (0, 13, 32):
        alone = Problem(
            form,
            a=case.a[row : row + 1],
            w=case.w,
            a_scale=None if case.a_scale is None else case.a_scale[row : row + 1],
            a_zero=None if case.a_zero is None else case.a_zero[row : row + 1],
            w_scale=case.w_scale,
            w_zero=case.w_zero,
            bias=case.bias,
            residual=case.residual[row : row + 1],
            gelu=True,
        )
        assert_same_bits(alone.run(name)[0], whole[row])


@pytest.mark.parametrize("name", parameters())
def test_reads_nothing_behind_the_rows(name):
    for k in (3, 8, 21):
        options = {"epilogue": "b"}
        rng = generator(name, k)
        case = problem(rng, FORM[name], (15, 20, k), **options)
        wide = problem(generator(name, k), FORM[name], (15, 20, k), extra_stride=9, **options)
        assert_same_bits(case.run(name), wide.run(name))


@pytest.mark.parametrize("name", parameters(integer=True))
def test_sums_of_weights_may_be_absent(name):
    case = problem(generator(name), FORM[name], (9, 40, 70), zero=True, shifted=False)
    with_sums = case.run(name)
    case.give_sums = False
    assert_same_bits(case.run(name), with_sums)


@pytest.mark.parametrize("name", parameters(integer=False))
def test_float_specials_stay_where_they_are(name):
    """An infinity or a NaN reaches its own row and output, and padding of k never adds one."""
    case = problem(generator(name), FORM[name], (15, 33, 7))
    plain = case.run(name)
    case.a[3, 2], case.a[9, 6] = np.inf, np.nan
    special = case.run(name)
    others = [row for row in range(15) if row not in (3, 9)]
    assert_same_bits(special[others], plain[others])
    assert np.isnan(special[9]).all()
    assert not np.isfinite(special[3]).any()


@pytest.mark.parametrize("name", parameters(integer=False))
@pytest.mark.parametrize("a_type", ["fp16", "bf16"])
def test_activations_of_16_bits_are_widened(name, a_type):
    for m, k in ((1, 3), (7, 64), (15, 130), (40, 1539)):
        case = problem(generator(name, m, k), FORM[name], (m, 33, k), extra_stride=3, epilogue="b")
        case.a = rounded(case.a, a_type)
        wide = case.run(name)
        case.a_type = a_type
        assert_same_bits(case.run(name), wide)


@pytest.mark.parametrize("weight", ["fp32", "fp16", "bf16", "int8"])
@pytest.mark.parametrize("n", [1, 16, 17, 40])
@pytest.mark.parametrize("k", [1, 4, 7, 64, 150])
def test_packing_is_lossless(weight, n, k):
    dtype = {"fp32": np.uint32, "fp16": np.uint16, "bf16": np.uint16, "int8": np.uint8}[weight]
    bits = generator(weight, n, k).integers(0, np.iinfo(dtype).max, (n, k), dtype)
    packed = _native.qmatmul_pack(weight, bits)
    out = np.zeros_like(bits)
    _native.qmatmul_unpack(weight, packed, out)
    assert np.array_equal(out, bits)


@pytest.mark.parametrize("weight", ["fp32", "fp16", "bf16", "int8"])
def test_what_several_threads_pack_is_whole(weight):
    """More than 8 MiB: rows are packed, and summed, in parts that begin with a panel each."""
    dtype = {"fp32": np.uint32, "fp16": np.uint16, "bf16": np.uint16, "int8": np.uint8}[weight]
    bits = generator(weight).integers(0, np.iinfo(dtype).max, (4099, 2050), dtype)
    packed = _native.qmatmul_pack(weight, bits)
    panels = [_native.qmatmul_pack(weight, bits[i : i + 16]) for i in range(0, len(bits), 16)]
    assert np.array_equal(packed, np.concatenate(panels))
    if weight == "int8":
        codes = bits.view(np.int8)
        assert np.array_equal(_native.qmatmul_row_sums(codes), codes.sum(axis=1, dtype=np.int32))


@pytest.mark.parametrize("shape", [(48, 200), (33, 66)])
def test_layout_of_packed_codes_of_several_lines(shape):
    n, k = shape
    w = generator("lines", n, k).integers(-128, 128, shape, np.int8)
    panels = np.zeros((-(-n // 16) * 16, -(-k // 4) * 4), np.int8)
    panels[:n, :k] = w
    wanted = panels.reshape(len(panels) // 16, 16, -1, 4).transpose(0, 2, 1, 3)
    assert np.array_equal(_native.qmatmul_pack("int8", w).view(np.int8), wanted.ravel())


def test_large_weights_are_packed_alike():
    """Their memory comes from elsewhere; rows of 2048 codes, as of many models, share sets of a cache."""
    w = generator("large").integers(-128, 128, (2064, 2048), np.int8)
    panels = _native.qmatmul_pack("int8", w).view(np.int8).reshape(129, 512, 16, 4)
    assert np.array_equal(panels.transpose(0, 2, 1, 3).reshape(w.shape), w)


@pytest.mark.parametrize("shape", [(0, 4), (3, 0), (1, 1), (17, 2049)])
def test_sums_of_rows(shape):
    codes = generator("sums", *shape).integers(-128, 128, shape, np.int8)
    sums = _native.qmatmul_row_sums(codes)
    assert sums.dtype == np.int32
    assert np.array_equal(sums, codes.sum(axis=1, dtype=np.int32))


@pytest.mark.parametrize("fill", [-128, 127])
def test_sums_of_rows_fill_their_type(fill):
    codes = np.full((1, 1 << 24), fill, np.int8)
    assert _native.qmatmul_row_sums(codes)[0] == fill << 24
    with pytest.raises(InvalidArgumentError, match=r"2\^24"):
        _native.qmatmul_row_sums(np.zeros((1, (1 << 24) + 1), np.int8))


def test_layout_of_packed_codes():
    """n16k4: element (n, k) lies at [n / 16][k / 4][n % 16][k % 4], padding is zero."""
    w = np.arange(1, 18 * 6 + 1, dtype=np.int8).reshape(18, 6)
    packed = _native.qmatmul_pack("int8", w).view(np.int8).reshape(2, 2, 16, 4)
    for n in range(32):
        for k in range(8):
            assert packed[n // 16, k // 4, n % 16, k % 4] == (w[n, k] if n < 18 and k < 6 else 0)


def test_layout_of_packed_floats():
    """n16: element (n, k) lies at [n / 16][k][n % 16], padding is zero."""
    w = np.arange(1, 18 * 3 + 1, dtype=np.float32).reshape(18, 3)
    packed = _native.qmatmul_pack("fp32", w).view(np.float32).reshape(2, 3, 16)
    assert np.array_equal(packed.transpose(0, 2, 1).reshape(32, 3)[:18], w)
    assert not packed[1, :, 2:].any()


@pytest.mark.parametrize(("n_begin", "n_end"), [(8, 32), (0, 8), (16, 64), (-16, 16), (32, 16)])
def test_parts_outside_the_outputs_are_refused(n_begin, n_end):
    case = problem(generator(), Form("int16", "int8"), (1, 40, 8))
    with pytest.raises(InvalidArgumentError, match="n_begin"):
        case.run("qmatmul_i16_i8_scalar", n_begin, n_end)


def test_activation_limit_fills_the_budget():
    for k in (1, 2, 384, 1536, 1 << 20):
        limit = _native.qmatmul_activation_limit(k)
        assert limit * 127 * k < 2**31
        assert limit == 32767 or (limit + 1) * 127 * k >= 2**31
