"""One token through a block of experts, against dense matrices of as many bytes.

    python benchmarks/expert_speed.py [--type int4] [--threads 2]

The shape is that of Qwen3-30B-A3B: 2048 columns, 128 experts of 768, 8 of them per token, random routing. The
dense layer has the width of those 8 together and the same router, whose output nobody reads; there are as
many dense layers as make both sides read from memory, not from a cache. Codes are random, all in one piece of
memory, as in a mapped file. Printed are medians of interleaved rounds.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind import _native
from arrowmind.engine.expert_compiler import add_routed
from arrowmind.engine.layers import LayerBuilder, Options
from arrowmind.models.decoder_spec import GatedFeedForward, RoutedFeedForward, Router
from arrowmind.models.spec import Linear
from arrowmind.weights import WeightSource
from arrowmind.weights.formats import Grid, GridCodes
from arrowmind.weights.tensor import Tensor, float_tensor, grid_tensor, int8_tensor

if TYPE_CHECKING:
    from collections.abc import Callable

HIDDEN, INNER, EXPERTS, TOP, DENSE = 2048, 768, 128, 8, 12
TOKENS, ROUNDS = 32, 15
PAGE = 4096


class Memory(WeightSource):
    """Tensors whose buffers lie in one piece of memory, each on a page of its own."""

    kind = "memory"

    def __init__(self) -> None:
        """A piece that holds INT8 of all that is measured."""
        parts = EXPERTS + TOP * DENSE
        self._memory = np.zeros(int(parts * 3 * HIDDEN * INNER * 1.2), np.uint8)
        self._at = -self._memory.ctypes.data % PAGE
        self._tensors: dict[str, Tensor] = {}

    def add(self, name: str, tensor: Tensor) -> None:
        """Keeps a copy under this name."""
        self._tensors[name] = Tensor(tensor.spec, *(self._put(buffer) for buffer in tensor.buffers()))

    def _put(self, buffer: Any) -> Any:
        if buffer is None:
            return None
        raw = buffer.reshape(-1).view(np.uint8)
        place = self._memory[self._at : self._at + raw.size]
        place[:] = raw
        self._at += -(-raw.size // PAGE) * PAGE
        return place.view(buffer.dtype)

    def names(self) -> list[str]:
        """Of all tensors."""
        return list(self._tensors)

    def has(self, name: str) -> bool:
        """Whether there is one."""
        return name in self._tensors

    def spec(self, name: str) -> Any:
        """What it is."""
        return self._tensors[name].spec

    def tensor(self, name: str) -> Tensor:
        """The tensor."""
        return self._tensors[name]

    @property
    def documents(self) -> dict[str, dict[str, Any]]:
        """None."""
        return {}

    def close(self) -> None:
        """Does nothing."""


def random_matrix(kind: str, rows: int, columns: int) -> Tensor:
    """Random codes of a type."""
    rng = np.random.default_rng(rows)
    if kind == "int8":
        codes = rng.integers(-127, 128, (rows, columns), dtype=np.int8)
        return int8_tensor("x.weight", codes, np.full(rows, 1e-3, np.float32), activation="int8")
    group = {"int4": 32, "int2": 64}[kind]
    grid = Grid(kind, group, "fp16")
    stored = rng.integers(0, 16 if kind == "int4" else 4, (rows, columns), dtype=np.uint8)
    return grid_tensor(
        "x.weight", GridCodes(grid, stored, np.full((rows, columns // group), 1e-3, np.float16))
    )


def feed_forward(weights: Memory, name: str, matrices: dict[str, Tensor]) -> GatedFeedForward:
    """A feed-forward of copies of these matrices."""
    for part, tensor in matrices.items():
        weights.add(f"{name}.{part}.weight", tensor)
    gate, up, down = (Linear(f"{name}.{part}.weight") for part in ("gate", "up", "down"))
    return GatedFeedForward(gate, up, down, "silu")


def matrices_of(kind: str, inner: int) -> dict[str, Tensor]:
    """Those of a feed-forward of this width."""
    wide = random_matrix(kind, inner, HIDDEN)
    return {"gate": wide, "up": wide, "down": random_matrix(kind, HIDDEN, inner)}


def compiled(weights: Memory, build: Callable[[LayerBuilder, int, int], None]) -> _native.Plan:
    """A plan over rows of floats."""
    plan = _native.Plan(1, 1, HIDDEN)
    source, stream = plan.buffer("fp32", HIDDEN), plan.buffer("fp32", HIDDEN)
    plan.source(source)
    plan.multiply(source, stream, np.ones(HIDDEN, np.float32))
    build(LayerBuilder(plan, weights, Options()), source, stream)
    plan.result(stream)
    plan.finish()
    return plan


def plans(kind: str) -> tuple[_native.Plan, list[_native.Plan]]:
    """The plan of experts, and those of dense layers."""
    weights, rng = Memory(), np.random.default_rng(0)
    router = Router("router.weight", TOP, normalised=True)
    logits = rng.normal(0, 1, (EXPERTS, HIDDEN)).astype(np.float32)
    weights.add("router.weight", float_tensor("router.weight", logits).for_kernels())
    small, large = matrices_of(kind, INNER), matrices_of(kind, TOP * INNER)
    experts = tuple(feed_forward(weights, f"experts.{number}", small) for number in range(EXPERTS))
    routed = RoutedFeedForward(router, experts)

    def dense(fed: GatedFeedForward) -> Callable[[LayerBuilder, int, int], None]:
        def build(layers: LayerBuilder, source: int, stream: int) -> None:
            layers.linear((Linear(router.weight),), source, layers.plan.buffer("fp32", EXPERTS))
            layers.linear((fed.down,), layers.gated(fed, source), stream, residual=stream)

        return build

    layers = [feed_forward(weights, f"dense.{number}", large) for number in range(DENSE)]
    one = compiled(weights, lambda builder, source, stream: add_routed(builder, routed, source, stream))
    return one, [compiled(weights, dense(fed)) for fed in layers]


def milliseconds(turns: list[_native.Plan], rows: list[Any], threads: _native.ThreadPool) -> float:
    """Of one row, the plans taking turns."""
    start = time.perf_counter()
    for number, row in enumerate(rows):
        turns[number % len(turns)].run_rows(row, threads)
    return 1e3 * (time.perf_counter() - start) / len(rows)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--type", choices=("int8", "int4", "int2"), default="int4")
    parser.add_argument("--threads", type=int, default=2)
    chosen = parser.parse_args()
    experts, dense = plans(chosen.type)
    threads = _native.ThreadPool(chosen.threads)
    rows = list(np.random.default_rng(1).normal(0, 1, (TOKENS, 1, HIDDEN)).astype(np.float32))
    sides = ([experts], dense)
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS + 1):
        for side, found in zip(sides, times, strict=True):
            found.append(milliseconds(side, rows, threads))
    routed, plain = (statistics.median(found[1:]) for found in times)
    print(
        f"{chosen.type}, {chosen.threads} threads: experts {routed:.3f} ms, dense {plain:.3f} ms, "
        f"{routed / plain:.3f}"
    )


if __name__ == "__main__":
    main()
