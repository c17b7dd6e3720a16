"""A program that uses every function of the Vulkan back end, once for each call that may fail.

Run with a loader that fails (backends/faulty_vulkan.cc) in place of the real one; prints how many runs it
made.
"""

from __future__ import annotations

import ctypes
import gc
import struct

import numpy as np

from arrowmind import _native
from arrowmind.errors import DeviceError, DeviceLostError, DeviceMemoryError

LOST, NO_DEVICE_MEMORY, NO_HOST_MEMORY, FAILED = -4, -2, -1, -3
COUNT = 3000


def work(device: _native.Device) -> np.ndarray:
    """Twice one, of `COUNT` numbers, by way of two streams."""
    first, second, event = device.stream(), device.stream(), device.event()
    device.pinned(1000)
    a, b, out = (device.allocate(4 * COUNT) for _ in range(3))
    later = device.event()
    one = struct.unpack("<I", struct.pack("<f", 1.0))[0]
    first.launch_over("fill_u32", (COUNT, 1, 1), [(a, 0)], struct.pack("<II", COUNT, one))
    first.copy_within(b, 0, a, 0, 4 * COUNT)
    first.record(event)
    second.wait(event)
    second.launch_over("add_f32", (COUNT, 1, 1), [(a, 0), (b, 0), (out, 0)], struct.pack("<I", COUNT))
    second.record(later)
    found = np.zeros(4 * COUNT, np.uint8)
    second.copy_out(found, out, 0)
    first.wait(later)
    first.copy_in(a, 0, np.zeros(COUNT, np.uint8))
    second.synchronise()
    later.is_reached()
    event.nanoseconds_until(later)
    first.synchronise()
    return found.view(np.float32)


def attempt(registry: _native.DeviceRegistry) -> Exception | None:
    """The failure of one run, whose result is right where there is none."""
    try:
        found = work(registry.open("vulkan"))
    except DeviceError as error:
        return error.with_traceback(None)
    np.testing.assert_array_equal(found, np.float32(2))
    return None


def expect(holds: bool, *told: object) -> None:
    """An assertion of a program, which no option takes out."""
    if not holds:
        raise AssertionError(told)


def main() -> None:
    driver = ctypes.CDLL("libvulkan.so.1")
    for function in (driver.faulty_vulkan_calls, driver.faulty_vulkan_live):
        function.restype = ctypes.c_int64
    driver.faulty_vulkan_set.argtypes = (ctypes.c_int64, ctypes.c_int32)
    registry = _native.DeviceRegistry()
    driver.faulty_vulkan_set(0, 0)
    expect(attempt(registry) is None)
    calls, told, runs = driver.faulty_vulkan_calls(), 0, 0
    kinds = {LOST: DeviceLostError, NO_DEVICE_MEMORY: DeviceMemoryError, NO_HOST_MEMORY: DeviceMemoryError}
    for result in (LOST, NO_DEVICE_MEMORY, NO_HOST_MEMORY, FAILED):
        for at in range(1, calls + 1):
            driver.faulty_vulkan_set(at, result)
            error = attempt(registry)
            gc.collect()
            fits = error is None or isinstance(error, kinds.get(result, DeviceError))
            expect(fits, result, at, error)
            live = driver.faulty_vulkan_live()
            expect(live == 0, result, at, live)
            runs += 1
            told += error is not None
    # The others failed where nothing depended on it: the result was right.
    print(f"{runs} runs, {told} failures told")
    expect(told > runs / 2, told, runs)


if __name__ == "__main__":
    main()
