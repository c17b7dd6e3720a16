"""The store of a great many memories, built further where it was cut off."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import numpy as np

from arrowmind.bench.memory.crowd import CHUNK
from arrowmind.errors import ConfigurationError
from arrowmind.memory import MemoryStore
from arrowmind.memory.storage.catalogue import Catalogue
from arrowmind.memory.storage.links import add_links, linked_to, set_linked_to
from arrowmind.memory.storage.paths import StorePaths
from arrowmind.memory.times import now_microseconds

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from arrowmind.bench.memory.crowd import Crowd
    from arrowmind.memory import TextEncoder
    from arrowmind.observe import Progress

__all__ = ["LINKS", "build"]

LINKS = 16
"""Links of a memory, both ways counted."""
_SEED = 7
_BUSY_SECONDS = 30.0


def build(folder: Path, crowd: Crowd, encoder: TextEncoder, count: int, progress: Progress) -> float:
    """Remembers what is missing of the first ``count`` memories, and links them.

    Args:
        folder: of the store; it is made if it is not there.
        crowd: the memories.
        encoder: that of the store.
        count: how many.
        progress: called with (memories there, all of them, "memories").

    Returns:
        Memories per second, over all runs that built the store; links do not count.

    Raises:
        ConfigurationError: the store holds more already.
    """
    notes = folder.with_suffix(".json")
    spent = json.loads(notes.read_text(encoding="utf-8")) if notes.exists() else {"rows": 0, "seconds": 0.0}
    with MemoryStore(folder, encoder) as store:
        there = store.stats().records
        if there > count:
            raise ConfigurationError(
                f"{folder}: holds {there} memories, not {count}; remove it or name another cache"
            )
        for start in range(there - there % CHUNK, count, CHUNK):
            stop = min(start + CHUNK, count)
            if there < stop:
                texts, vectors, moments = crowd.chunk(start // CHUNK)
                new = slice(max(there - start, 0), stop - start)
                began = time.perf_counter()
                store.remember_many(texts[new], vectors[new], timestamp=moments[new])
                spent["seconds"] += time.perf_counter() - began
                spent["rows"] += len(texts[new])
                notes.write_text(json.dumps(spent), encoding="utf-8")
            _link(folder, stop)
            progress(stop, count, "memories")
    return float(spent["rows"] / spent["seconds"]) if spent["seconds"] else 0.0


def _link(folder: Path, stop: int) -> None:
    """Links the memories up to one that are not linked yet, among themselves, at random."""
    catalogue = Catalogue(StorePaths(folder).catalogue, _BUSY_SECONDS)
    try:
        with catalogue.writing() as db:
            first = linked_to(db) + 1
            if first < stop:
                add_links(db, _pairs(np.arange(first, stop + 1)), now_microseconds())
                set_linked_to(db, stop)
    finally:
        catalogue.close()


def _pairs(ids: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Iterator[tuple[int, int, str, float]]:
    chance = np.random.default_rng([_SEED, int(ids[0])])
    for _ in range(LINKS // 2):
        weights = chance.uniform(0.05, 0.6, len(ids)).tolist()
        for one, other, weight in zip(ids.tolist(), chance.permutation(ids).tolist(), weights, strict=True):
            yield one, other, "similar", weight
