"""The model of products by warpgroups (backends/on_host/warpgroups.cc): layouts as they are written down, and
what it does with kernels that forget something."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import numpy as np
import pytest

from tests.device.fake import BACKENDS
from tests.kernels.rows import SEED

DRIVER = str(BACKENDS / "gpu_on_host_driver.so")
TILE_BYTES = 32 << 10
LEADING, STRIDE, PATTERN = 16, 32, 62
"""Bits of a descriptor: offsets between eights of k and eights of columns, in 16 bytes; and the pattern."""
# Mistakes of the kernel `warpgroup` of backends/on_host/faulty.cu, and the words that end the process.
MISTAKES = {
    1: "a product reads what it was not shown",
    2: "memory of the group changed while products read it",
    4: "memory of the group changed while products read it",
    5: "rows changed while products read them",
    6: "a group ended while copies or products were under way",
    7: "a product that none of begin_products() came before",
    8: "sums were written while products ran",
    9: "sums are taken before their products ended",
}


def bfloat(values: np.ndarray) -> np.ndarray:
    return (np.ascontiguousarray(values, np.float32).view(np.uint32) >> 16).astype(np.uint16)


def operands() -> tuple[np.ndarray, np.ndarray]:
    """Whole numbers: their sums are exact in any order."""
    rng = np.random.default_rng(SEED)
    return rng.integers(-8, 9, (64, 16)).astype(np.float32), rng.integers(-8, 9, (16, 128)).astype(np.float32)


def places(width: int) -> tuple[np.ndarray, int]:
    """Where 16 bytes `piece` of a column lie, [columns, 2], by the pattern of so many bytes; descriptor."""
    column, piece = np.arange(128)[:, None], np.arange(2)[None]
    eight, own = column // 8, column % 8
    if width == 16:  # eights of columns are 256 bytes apart, the second eight k 128 bytes behind the first
        return 256 * eight + 128 * piece + 16 * own, 128 >> 4 << LEADING | 256 >> 4 << STRIDE
    mixed = {128: own, 64: own // 2, 32: own // 4}[width]
    at = 8 * width * eight + width * own + 16 * (piece ^ mixed)
    return at, 1 << LEADING | 8 * width >> 4 << STRIDE | {128: 1, 64: 2, 32: 3}[width] << PATTERN


def run(a: np.ndarray, memory: np.ndarray, descriptor: int, mistake: int = 0, backward: int = 0):
    """What the kernel makes of rows and of memory of the group, byte by byte."""
    driver = ctypes.CDLL(DRIVER)
    driver.arrowmind_driver_set(f"backward={backward}".encode())
    rows = bfloat(a)
    function, out = ctypes.c_void_p(), np.full((64, 128), 77, np.float32)
    assert driver.cuModuleGetFunction(ctypes.byref(function), None, b"arrowmind_warpgroup") == 0
    held = [
        ctypes.c_uint64(rows.ctypes.data),
        ctypes.c_uint64(memory.ctypes.data),
        ctypes.c_uint64(out.ctypes.data),
        ctypes.c_uint64(descriptor),
        ctypes.c_uint32(mistake),
    ]
    arguments = (ctypes.c_void_p * len(held))(*map(ctypes.addressof, held))
    assert driver.cuLaunchKernel(function, 1, 1, 1, 128, 1, 1, 0, None, arguments, None) == 0
    driver.arrowmind_driver_set(b"")
    return out


def laid_out(b: np.ndarray, at: np.ndarray, start: int = 0) -> np.ndarray:
    """Memory of the group with a column's pieces of 8 k where they belong; the rest is NaN."""
    memory = np.full(TILE_BYTES + 16, 0xFF, np.uint8)
    memory = memory[-memory.ctypes.data % 16 :][:TILE_BYTES]
    pieces = bfloat(b.T).reshape(128, 2, 8)
    for column, piece in np.ndindex(at.shape):
        memory[start + at[column, piece] :][:16] = pieces[column, piece].view(np.uint8)
    return memory


@pytest.mark.parametrize("backward", [0, 1])
@pytest.mark.parametrize("width", [16, 32, 64, 128])
def test_columns_lie_as_descriptors_say(width, backward):
    a, b = operands()
    at, descriptor = places(width)
    np.testing.assert_array_equal(run(a, laid_out(b, at), descriptor, backward=backward), a @ b)


def test_the_next_k_of_a_pattern_begin_32_bytes_later():
    a, b = operands()
    at, descriptor = places(128)
    column = np.arange(128)[:, None]
    at = 128 * column + 16 * ((np.arange(2)[None] + 2) ^ column % 8)
    np.testing.assert_array_equal(run(a, laid_out(b, at), descriptor + (32 >> 4)), a @ b)


def test_another_pattern_gives_other_sums():
    a, b = operands()
    at, descriptor = places(128)
    found = run(a, laid_out(b, at), descriptor ^ 3 << PATTERN)
    assert not np.array_equal(found, a @ b)


def test_sums_are_nan_while_products_run():
    a, b = operands()
    at, descriptor = places(128)
    assert np.isnan(run(a, laid_out(b, at), descriptor, mistake=3)).all()


@pytest.mark.parametrize("mistake", MISTAKES)
def test_what_a_kernel_must_not_do_ends_it(mistake):
    code = f"from tests.device import test_warpgroups; test_warpgroups.fail({mistake})  # {DRIVER}"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert found.returncode < 0
    assert MISTAKES[mistake] in found.stderr


def fail(mistake: int) -> None:
    a, b = operands()
    at, descriptor = places(128)
    run(a, laid_out(b, at), descriptor, mistake)
