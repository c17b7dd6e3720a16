"""Kernels of a device run by name on NumPy arrays, with the blocks of parameters of csrc/device/kernels.h."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest

from arrowmind.errors import DeviceUnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from arrowmind import _native

_NAMES = (
    "bias residual zeros outer a_zero accumulate multiplier beta causal normalise gated interleaved gelu "
    "from to"
)
FLAGS = {name: 1 << bit for bit, name in enumerate(_NAMES.split())}


def _part(name: str) -> str:
    """Members of a part of a page."""
    members = "format first_byte head_bytes values key_scales value_scales"
    return " ".join(f"{name}_{member}" for member in members.split())


_PAGES = f"heads key_heads head_dim in_stride page_tokens table_stride turned {_part('full')}"
# Members in order; rows and sequences begin each. A float says so.
BLOCKS = {
    "linear": "n k a_stride c_stride residual_stride first_column flags group groups scale_type "
    "blocks parts block part",
    "embed": "width out_stride row_bytes element index flags group groups scale_type",
    "norm": "x_stride y_stride first width pieces epsilon:f flags",
    "round_rows": "width in_stride",
    "quantise": "x_stride stride width flags blocks parts block part",
    "attention": "heads key_heads head_dim in_stride out_stride flags window scale:f cap:f",
    "pool": "width x_stride mode flags",
    "activate": "width x_stride out_stride kind cap:f flags",
    "columns": "width in_stride out_stride",
    "candidates": "width in_stride out_stride count sums",
    "cross_attention": "heads head_dim q_stride out_stride looked_stride keys values scale:f",
    "copy": "width in_stride out_stride count from_first from_step to_first to_step",
    "rope": "x_stride first heads head_dim rotated turns_stride flags",
    "cache_write": _PAGES,
    "cache_shrink": f"key_heads head_dim page_tokens {_part('full')} {_part('small')}",
    "cached_attention": f"{_PAGES} {_part('small')} small_table first_small recent "
    "out_stride window scale:f cap:f",
    "route": "x_stride out_stride experts top is_sigmoid groups kept sums_two factor:f flags",
    "group_rows": "route_stride top experts tile",
    "move_rows": "width in_stride out_stride flags",
    "combine": "width top in_stride weights_stride residual_stride out_stride flags",
}
_GUARD = 64  # bytes behind each place that nobody may write
_JUNK = 0xFF  # NaN, whatever reads it


def flags(*names: str) -> int:
    return sum(FLAGS[name] for name in names)


def block(kind: str, /, **values: float) -> bytes:
    """Parameters of a kind as the device reads them; what is not given is 0."""
    members = ["rows", "sequences", *BLOCKS[kind].split()]
    unknown = set(values) - {member.removesuffix(":f") for member in members}
    if unknown:
        raise ValueError(f"a block of {kind} has no {sorted(unknown)}; its members are {members}")
    out = b""
    for member in members:
        name, _, kind_of = member.partition(":")
        out += struct.pack("<f" if kind_of else "<I", values.get(name, 0))
    return out


@dataclass
class Out:
    """An array that a kernel writes; it is given back as the kernel left it."""

    array: np.ndarray


class Bench:
    """One device that runs kernels, one at a time."""

    def __init__(self, device: _native.Device, order: Callable[[bytes], None] | None = None) -> None:
        """`order` is told in which order fibers run, where threads are: every kernel then runs in both."""
        self.device, self._order = device, order
        self.stream = device.stream()
        self._alignment = max(64, device.info()["alignment_bytes"])

    def has(self, name: str) -> bool:
        try:
            self.device.kernel(name)
        except DeviceUnsupportedError:
            return False
        return True

    def run(
        self, name: str, work: tuple[int, int, int], places: list[np.ndarray | Out | None], parameters: bytes
    ) -> list[np.ndarray]:
        """What the kernel wrote, in the order of the places.

        The same array at several places lies in memory once; None is memory that is not looked at. All lie in
        one buffer behind each other, NaN before and behind them.
        """
        offsets, arrays, size = {}, {}, self._alignment
        for place in places:
            array = place.array if isinstance(place, Out) else place
            if array is None or id(array) in offsets:
                continue
            offsets[id(array)], arrays[id(array)] = size, array
            size += -(-(array.nbytes + _GUARD) // self._alignment) * self._alignment
        memory = np.full(size, _JUNK, np.uint8)
        for key, array in arrays.items():
            memory[offsets[key] :][: array.nbytes] = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        ids = [id(place.array if isinstance(place, Out) else place) for place in places]
        starts = [offsets.get(key, 0) for key in ids]
        after = self._launch(name, work, starts, parameters, memory)
        if self._order is not None:
            self._order(b"backward=1")
            backward = self._launch(name, work, starts, parameters, memory)
            self._order(b"")
            np.testing.assert_array_equal(backward, after, "it depends on which thread goes first")
        return self._written(places, offsets, memory, after)

    def _launch(
        self, name: str, work: tuple[int, int, int], starts: list[int], parameters: bytes, memory: np.ndarray
    ) -> np.ndarray:
        """The memory as the kernel leaves it."""
        buffer = self.device.allocate(len(memory))
        self.stream.copy_in(buffer, 0, memory)
        self.stream.launch_over(name, work, [(buffer, start) for start in starts], parameters)
        after = np.empty(len(memory), np.uint8)
        self.stream.copy_out(after, buffer, 0)
        self.stream.synchronise()
        return after

    def run_rows(
        self, name: str, work: tuple[int, int, int], places: list[np.ndarray | Out | None], parameters: bytes
    ) -> np.ndarray:
        """What a kernel of attention wrote; its form for rows together, where there is one, has its bits."""
        (found,) = self.run(name, work, places, parameters)
        if self.has(name + "_rows"):
            (together,) = self.run(name + "_rows", work, places, parameters)
            np.testing.assert_array_equal(np.isnan(together), np.isnan(found))
            numbers = [one[~np.isnan(found)].view(np.uint32) for one in (together, found)]
            np.testing.assert_array_equal(*numbers)
        return found

    def _written(self, places, offsets, before: np.ndarray, after: np.ndarray) -> list[np.ndarray]:
        found = []
        for place in places:
            if isinstance(place, Out):
                at = offsets[id(place.array)]
                own = slice(at, at + place.array.nbytes)
                found.append(after[own].view(place.array.dtype).reshape(place.array.shape).copy())
                before[own] = after[own]
        np.testing.assert_array_equal(after, before, "something else was written")
        return found


def needs(bench: Bench, name: str) -> None:
    """Skips where a device has no such kernel."""
    if not bench.has(name):
        pytest.skip(f"this device has no {name} yet")
