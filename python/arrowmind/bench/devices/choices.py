"""What chooses tokens from rows of logits on a device, beside the time of reading these rows."""

from __future__ import annotations

import statistics
import struct
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind.errors import DeviceUnsupportedError, OptimizationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from arrowmind import _native

__all__ = ["ROWS", "VOCABULARIES", "Choice", "measure_choices"]

# Of Llama 2 and of Qwen2.5; one text, and as many as small services write together.
VOCABULARIES, ROWS = (32_000, 151_936), (1, 16)
# The most that the sampler asks for: the nucleus of a text without top_k, at one temperature.
_CANDIDATES, _TEMPERATURE = 256, 0.8
_LAUNCHES = 15
# Of a sum over a row: what csrc/device/kernels.h promises.
_SUM_ERROR = 1e-5


@dataclass(frozen=True)
class Choice:
    """One kernel on rows of one vocabulary.

    Attributes:
        kernel: `highest`, or `candidates`: the 256 highest, and the sum at one temperature.
        rows: Rows of logits.
        vocabulary: Numbers of a row.
        seconds: Median device time; None where the device has no such kernel.
        bytes_per_s: Of logits, each read once.
        share: Of the device's memory bandwidth.
        why: There is no figure.
    """

    kernel: str
    rows: int
    vocabulary: int
    seconds: float | None = None
    bytes_per_s: float | None = None
    share: float | None = None
    why: str = ""

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def measure_choices(
    device: _native.Device,
    memory: float,
    cached: int,
    vocabularies: Sequence[int],
    rows: Sequence[int] = ROWS,
) -> list[Choice]:
    """Times both kernels, each answer checked against NumPy.

    Args:
        device: The device.
        memory: Its bandwidth in bytes per second.
        cached: Bytes that its caches may hold: so many are copied before logits are read.
        vocabularies: Numbers of a row.
        rows: Of logits.

    Raises:
        OptimizationError: A kernel gave a wrong answer.
        DeviceError: The device failed.
    """
    found = []
    for vocabulary in vocabularies:
        for count in rows:
            logits = np.random.default_rng(count).standard_normal((count, vocabulary)).astype(np.float32)
            for kernel in ("highest", "candidates"):
                try:
                    seconds = _Trial(device, kernel, logits).seconds(cached)
                except DeviceUnsupportedError as error:
                    found.append(Choice(kernel, count, vocabulary, why=str(error)))
                    continue
                speed = logits.nbytes / seconds
                found.append(Choice(kernel, count, vocabulary, seconds, speed, speed / memory))
    return found


class _Trial:
    """One kernel over the same logits in several buffers, which take turns."""

    def __init__(self, device: _native.Device, kernel: str, logits: NDArray[np.float32]) -> None:
        device.kernel(kernel)
        self._device, self._kernel, self._logits = device, kernel, logits
        rows, vocabulary = logits.shape
        self._is_greedy = kernel == "highest"
        words = 2 if self._is_greedy else 2 * _CANDIDATES + 1
        self._found = np.zeros((rows, words), np.uint32)
        bounds = () if self._is_greedy else (_CANDIDATES, 1)
        members = (rows, rows, vocabulary, vocabulary, words, *bounds)
        self._parameters = struct.pack(f"<{len(members)}I", *members)
        self._stream = device.stream()
        self._there = [device.allocate(logits.nbytes) for _ in range(_LAUNCHES)]
        self._out = device.allocate(self._found.nbytes)
        self._temperatures = device.allocate(4 * rows)

    def seconds(self, cached: int) -> float:
        """The median of its launches, the last of which is checked."""
        rows = len(self._logits)
        for place in self._there:
            self._copy_in(place, self._logits)
        self._copy_in(self._temperatures, np.full(rows, _TEMPERATURE, np.float32))
        self._launch(self._there[0])  # the driver may build what it runs
        self._forget(cached)
        marks = [self._device.event() for _ in range(_LAUNCHES + 1)]
        self._stream.record(marks[0])
        for place, mark in zip(self._there, marks[1:], strict=True):
            self._launch(place)
            self._stream.record(mark)
        out = self._found.view(np.uint8).reshape(-1)
        self._stream.copy_out(out, self._out, 0)
        self._stream.synchronise()
        _check(self._kernel, self._logits, self._found)
        took = [first.nanoseconds_until(second) for first, second in pairwise(marks)]
        return max(statistics.median(took), 1) / 1e9

    def _copy_in(self, to: _native.DeviceBuffer, values: NDArray[np.float32]) -> None:
        self._stream.copy_in(to, 0, values.view(np.uint8).reshape(-1))

    def _forget(self, cached: int) -> None:
        """Leaves nothing of the logits in caches."""
        if not cached:
            return
        one, other = self._device.allocate(cached), self._device.allocate(cached)
        self._stream.copy_within(other, 0, one, 0, cached)
        self._stream.synchronise()

    def _launch(self, logits: _native.DeviceBuffer) -> None:
        places: list[tuple[_native.DeviceBuffer | _native.DeviceBlock, int]] = [(logits, 0)]
        if not self._is_greedy:
            places.append((self._temperatures, 0))
        places.append((self._out, 0))
        self._stream.launch_over(self._kernel, (1, len(self._logits), 1), places, self._parameters)


def _check(kernel: str, logits: NDArray[np.float32], found: NDArray[np.uint32]) -> None:
    """Raises OptimizationError unless words are what NumPy finds in rows without NaN."""
    count = 1 if kernel == "highest" else _CANDIDATES
    order = np.argsort(-logits, axis=1, kind="stable")[:, :count]
    values = np.take_along_axis(logits, order, axis=1)
    right = np.array_equal(found[:, :count], order) and np.array_equal(
        found[:, count : 2 * count], values.view(np.uint32)
    )
    if right and kernel == "candidates":
        shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
        exact = np.exp(shifted / _TEMPERATURE).sum(axis=1)
        sums = np.ascontiguousarray(found[:, 2 * count]).view(np.float32)
        right = bool(np.all(np.abs(sums / exact - 1) <= _SUM_ERROR + logits.shape[1] / 2**34))
    if not right:
        raise OptimizationError(f"[bench] {kernel}: the device chose other tokens than NumPy; it is wrong")
