"""Whether one kind of content finds another: memories of synthetic encoders that see the same hidden things.

A thing is a point of a few dozen hidden coordinates; each encoder shows them through a matrix of its own,
with noise of its own each time it looks. So the picture that is asked with is another one of the same thing.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind.bench.statistics import latency
from arrowmind.bench.targets import Verdict
from arrowmind.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from arrowmind.observe import Progress

    FloatArray = npt.NDArray[np.float32]

__all__ = ["judge_mixed", "measure_mixed"]

DIMENSIONS = {"text": 384, "image": 512, "audio": 384}
_HIDDEN, _NOISE, _ASKED, _BEST = 48, 0.5, 300, 10
_SEED = 20261121
_FOUND, _P99 = 95.0, 50.0


@dataclass(frozen=True)
class _World:
    """The encoders, and what they see."""

    hidden: FloatArray
    views: Mapping[str, FloatArray]
    chance: np.random.Generator

    @classmethod
    def of(cls, count: int) -> _World:
        chance = np.random.default_rng(_SEED)
        views = {
            kind: chance.standard_normal((_HIDDEN, width)).astype(np.float32)
            for kind, width in DIMENSIONS.items()
        }
        return cls(chance.standard_normal((count, _HIDDEN)).astype(np.float32), views, chance)

    def look(self, kind: str, things: slice) -> FloatArray:
        """What an encoder sees of some things, this time."""
        clean = self.hidden[things] @ self.views[kind] / np.sqrt(_HIDDEN)
        seen = clean + _NOISE * self.chance.standard_normal(clean.shape)
        narrow: FloatArray = seen.astype(np.float32)
        return narrow


def measure_mixed(count: int, progress: Progress) -> dict[str, Any]:
    """Remembers things and asks for them by another look.

    Half of the memories hold text, image and sound of a thing together; of the other things the image and the
    sound are memories of their own, which only the alignment can bring together.

    Args:
        count: memories.
        progress: called with (steps done, all of them, "steps").

    Returns:
        JSON values: shares found among the best ten, ``together`` and ``apart``, by (asked, found) kinds; the
        latency of a recall; seconds of the alignment.
    """
    together, apart = count // 2, count // 4
    world, steps = _World.of(together + apart), 4
    with (
        tempfile.TemporaryDirectory(prefix="arrowmind-") as folder,
        MemoryStore(Path(folder) / "memory") as store,
    ):
        both, images, sounds = _remember(store, world, together, apart)
        progress(1, steps, "steps")
        started = time.perf_counter()
        store.align()
        aligned = time.perf_counter() - started
        progress(2, steps, "steps")
        seconds: list[float] = []
        first, last = slice(0, _ASKED), slice(together, together + _ASKED)
        found_together = {
            f"{kind} finds all": _share(store, kind, world.look(kind, first), both, seconds)
            for kind in ("image", "audio")
        }
        progress(3, steps, "steps")
        found_apart = {
            "image finds sound": _share(store, "image", world.look("image", last), sounds, seconds),
            "sound finds image": _share(store, "audio", world.look("audio", last), images, seconds),
        }
        progress(4, steps, "steps")
    return {
        "memories": together + 2 * apart,
        "together": found_together,
        "apart": found_apart,
        "align_seconds": aligned,
        "recall": latency(seconds),
    }


def _remember(
    store: MemoryStore, world: _World, together: int, apart: int
) -> tuple[list[int], list[int], list[int]]:
    """Ids of the memories that hold all kinds, and of the images and the sounds of the other things."""
    whole, rest = slice(0, together), slice(together, together + apart)
    both = store.remember_many(
        [f"thing {n}" for n in range(together)], {kind: world.look(kind, whole) for kind in DIMENSIONS}
    )
    silent = np.zeros((apart, DIMENSIONS["text"]), np.float32)
    alone = [
        store.remember_many(
            [f"{kind} {n}" for n in range(apart)], {"text": silent, kind: world.look(kind, rest)}
        )
        for kind in ("image", "audio")
    ]
    return both, alone[0], alone[1]


def _share(
    store: MemoryStore, kind: str, asked: FloatArray, wanted: list[int], seconds: list[float]
) -> float:
    """Percent of queries that find their memory among the best ten."""
    found = 0
    for vector, id_ in zip(asked, wanted, strict=False):
        started = time.perf_counter()
        hits = store.recall(embedding={kind: vector}, top_k=_BEST)
        seconds.append(time.perf_counter() - started)
        found += id_ in [hit.id for hit in hits]
    return 100 * found / min(len(asked), len(wanted))


def judge_mixed(measured: Mapping[str, Any]) -> list[Verdict]:
    """Holds what was measured against the numbers."""
    together, apart = min(measured["together"].values()), min(measured["apart"].values())
    p99 = measured["recall"]["p99_ms"]
    count = measured["memories"]
    own, other = "one kind finds what it was stored with", "one kind finds another stored apart"
    return [
        Verdict(f"{own}, of {count}", f">= {_FOUND:g} %", f"{together:.1f} %", together >= _FOUND),
        Verdict(f"{other}, of {count}", f">= {_FOUND:g} %", f"{apart:.1f} %", apart >= _FOUND),
        Verdict("recall across kinds, p99", f"<= {_P99:g} ms", f"{p99:.1f} ms", p99 <= _P99),
    ]
