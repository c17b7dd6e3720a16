"""Whether one kind of content finds another: memories of synthetic encoders that see the same hidden things.

A thing is a point of a few dozen hidden coordinates; each encoder shows them through a matrix of its own,
with noise of its own each time it looks. So the picture that is asked with is another one of the same thing.
Some pictures are followed by a sound of something else, as a note about them would be: nothing but the order
in which they were told brings these together.
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
from arrowmind.memory import MemoryStore, RecallSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from arrowmind.observe import Progress

    FloatArray = npt.NDArray[np.float32]

__all__ = ["judge_mixed", "measure_mixed"]

DIMENSIONS = {"text": 384, "image": 512, "audio": 384}
_HIDDEN, _NOISE, _ASKED, _BEST = 48, 0.5, 300, 10
_SEED = 20261121
_FOUND, _P99 = 95.0, 50.0
_BEGUN, _APART_SECONDS, _NOTE_SECONDS = 1.7e9, 7200.0, 20.0
_WHAT = {
    "together": "one kind finds what it was stored with",
    "apart": "one kind finds another stored apart",
    "after": "one kind finds another told after it",
}


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


@dataclass(frozen=True)
class _Told:
    """Ids of the memories that are asked for."""

    both: list[int]
    images: list[int]
    sounds: list[int]
    pictures: list[int]
    notes: list[int]


def measure_mixed(count: int, progress: Progress) -> dict[str, Any]:
    """Remembers things and asks for them by another look, with links and without.

    Half of the memories hold text, image and sound of a thing together; of the other things the image and the
    sound are memories of their own, which only the alignment can bring together. Beside them are pictures
    that are followed by a note about something else.

    Args:
        count: memories, beside these pictures and notes.
        progress: called with (steps done, all of them, "steps").

    Returns:
        JSON values: ``with_edges`` and ``without_edges``, shares found among the best ten ``together``,
        ``apart`` and told one ``after`` the other, by (asked, found) kinds, and the latency of a ``recall``;
        seconds of the alignment and of linking.
    """
    together, apart = count // 2, count // 4
    world, steps = _World.of(together + apart + 2 * _ASKED), 5
    with tempfile.TemporaryDirectory(prefix="arrowmind-") as name:
        folder = Path(name) / "memory"
        with MemoryStore(folder) as store:
            told = _remember(store, world, together, apart)
            progress(1, steps, "steps")
            aligned = _seconds(store.align)
            progress(2, steps, "steps")
            linked = _seconds(store.link)
            progress(3, steps, "steps")
        looks = _looks(world, together, apart)
        measured = {}
        for place, (edges, weight) in enumerate((("with_edges", None), ("without_edges", 0.0)), start=4):
            settings = RecallSettings() if weight is None else RecallSettings(link_weight=weight)
            with MemoryStore(folder, recall_settings=settings) as store:
                measured[edges] = _ask(store, looks, told)
            progress(place, steps, "steps")
    return {
        "memories": together + 2 * apart,
        **measured,
        "align_seconds": aligned,
        "link_seconds": linked,
    }


def _seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def _looks(world: _World, together: int, apart: int) -> dict[str, FloatArray]:
    """What is asked with."""
    first, last = slice(0, _ASKED), slice(together, together + min(_ASKED, apart))
    begin = together + apart
    return {
        "image": world.look("image", first),
        "audio": world.look("audio", first),
        "image apart": world.look("image", last),
        "audio apart": world.look("audio", last),
        "picture": world.look("image", slice(begin, begin + _ASKED)),
        "note": world.look("audio", slice(begin + _ASKED, begin + 2 * _ASKED)),
    }


def _ask(store: MemoryStore, looks: Mapping[str, FloatArray], told: _Told) -> dict[str, Any]:
    seconds: list[float] = []

    def share(kind: str, look: str, wanted: list[int]) -> float:
        return _share(store, kind, looks[look], wanted, seconds)

    return {
        "together": {f"{kind} finds all": share(kind, kind, told.both) for kind in ("image", "audio")},
        "apart": {
            "image finds sound": share("image", "image apart", told.sounds),
            "sound finds image": share("audio", "audio apart", told.images),
        },
        "after": {
            "image finds note": share("image", "picture", told.notes),
            "note finds image": share("audio", "note", told.pictures),
        },
        "recall": latency(seconds),
    }


def _remember(store: MemoryStore, world: _World, together: int, apart: int) -> _Told:
    whole, rest = slice(0, together), slice(together, together + apart)
    both = store.remember_many(
        [f"thing {n}" for n in range(together)], {kind: world.look(kind, whole) for kind in DIMENSIONS}
    )
    alone = [_tell(store, kind, world.look(kind, rest), None) for kind in ("image", "audio")]
    begin = together + apart
    pictures = world.look("image", slice(begin, begin + _ASKED))
    notes = world.look("audio", slice(begin + _ASKED, begin + 2 * _ASKED))
    # One after the other, hours between each two.
    ids = [
        _tell(store, kind, looks[place : place + 1], _BEGUN + _APART_SECONDS * place + later)[0]
        for place in range(_ASKED)
        for kind, looks, later in (("image", pictures, 0.0), ("audio", notes, _NOTE_SECONDS))
    ]
    return _Told(both, alone[0], alone[1], ids[::2], ids[1::2])


def _tell(store: MemoryStore, kind: str, looks: FloatArray, moment: float | None) -> list[int]:
    """Memories of one kind alone."""
    silent = np.zeros((len(looks), DIMENSIONS["text"]), np.float32)
    texts: list[str | None] = [f"{kind} {n}" for n in range(len(looks))]
    return store.remember_many(texts, {"text": silent, kind: looks}, timestamp=moment)


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
    count, verdicts = measured["memories"], []
    for edges, kinds in (("with", ("together", "apart", "after")), ("without", ("together", "apart"))):
        rows = measured[f"{edges}_edges"]
        for kind in kinds:
            found = min(rows[kind].values())
            what = f"{_WHAT[kind]}, of {count}, {edges} edges"
            verdicts.append(Verdict(what, f">= {_FOUND:g} %", f"{found:.1f} %", found >= _FOUND))
        p99 = rows["recall"]["p99_ms"]
        what = f"recall across kinds {edges} edges, p99"
        verdicts.append(Verdict(what, f"<= {_P99:g} ms", f"{p99:.1f} ms", p99 <= _P99))
    return verdicts
