"""Copies from and to pinned memory, by the C interface itself: Python is given no address of such memory."""

from __future__ import annotations

import ctypes
from ctypes import POINTER, byref, c_char, c_int32, c_int64, c_uint32, c_uint64, c_void_p

import numpy as np
import pytest

from arrowmind import _native
from tests.device.machine import open_or_skip

SIZE = 5 << 20  # more than one piece of staging memory


class Place(ctypes.Structure):
    _fields_ = [("memory", c_uint64), ("offset", c_int64)]


# The functions of csrc/device/backend.h in their order, with their arguments before the words.
TABLE = {
    "probe": [POINTER(c_int32)],
    "describe": None,
    "open": [c_int32, POINTER(c_void_p)],
    "close": None,
    "memory_info": None,
    "allocate": [c_void_p, c_int64, POINTER(c_uint64)],
    "release": None,
    "create_stream": [c_void_p, POINTER(c_void_p)],
    "destroy_stream": None,
    "synchronise": [c_void_p],
    "copy_in": [c_void_p, Place, c_void_p, c_int64],
    "copy_out": [c_void_p, c_void_p, Place, c_int64],
    "copy_within": None,
    "create_event": None,
    "destroy_event": None,
    "record": None,
    "wait": None,
    "query": None,
    "elapsed": None,
    "find_kernel": None,
    "launch": None,
    "allocate_pinned": [c_void_p, c_int64, POINTER(c_void_p)],
    "release_pinned": None,
}
RELEASES = {
    "close": [c_void_p],
    "release": [c_void_p, c_uint64],
    "destroy_stream": [c_void_p],
    "release_pinned": [c_void_p, c_void_p],
}


class Backend:
    """A back end as the core calls it."""

    def __init__(self, path: str) -> None:
        entry = ctypes.CDLL(path).arrowmind_device_backend
        entry.restype, entry.argtypes = c_void_p, [c_uint32]
        pointers = (c_void_p * (1 + len(TABLE))).from_address(entry(1))
        self._functions = dict(zip(TABLE, pointers[1:], strict=True))

    def __call__(self, name: str, *arguments: object) -> None:
        if name in RELEASES:
            return ctypes.CFUNCTYPE(None, *RELEASES[name])(self._functions[name])(*arguments)
        words = (c_char * 248)()
        call = ctypes.CFUNCTYPE(c_int32, *TABLE[name], c_void_p)(self._functions[name])
        status = call(*arguments, ctypes.addressof(words))
        assert status == 0, (name, status, words.value)
        return None


@pytest.mark.parametrize("kind", ["vulkan"])
def test_copies_that_need_no_staging(kind):
    open_or_skip(kind)
    call = Backend(f"{_native.DeviceRegistry().folder}/arrowmind_device_{kind}.so")
    count, device, stream, address, memory = c_int32(), c_void_p(), c_void_p(), c_void_p(), c_uint64()
    call("probe", byref(count))
    call("open", 0, byref(device))
    call("create_stream", device, byref(stream))
    call("allocate", device, SIZE, byref(memory))
    call("allocate_pinned", device, SIZE, byref(address))
    pinned = np.ctypeslib.as_array(ctypes.cast(address, POINTER(ctypes.c_uint8)), (SIZE,))
    data = np.random.default_rng(1).integers(0, 256, SIZE, dtype=np.uint8)
    plain, part = np.zeros(SIZE, np.uint8), np.zeros(1000, np.uint8)
    pinned[:] = data
    call("copy_in", stream, Place(memory.value, 0), address, SIZE)
    call("copy_out", stream, plain.ctypes.data, Place(memory.value, 0), SIZE)
    call("copy_in", stream, Place(memory.value, 7), address.value + 3, 1000)
    call("copy_out", stream, part.ctypes.data, Place(memory.value, 7), 1000)
    call("synchronise", stream)
    np.testing.assert_array_equal(plain, data)
    np.testing.assert_array_equal(part, data[3:1003])
    call("copy_out", stream, address.value + 10, Place(memory.value, 7), 1000)
    call("synchronise", stream)
    np.testing.assert_array_equal(pinned[10:1010], data[3:1003])
    call("destroy_stream", stream)
    call("release_pinned", device, address)
    call("release", device, memory)
    call("close", device)
