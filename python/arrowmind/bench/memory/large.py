"""How long recall takes among a great many memories, leg by leg, and whether it finds the nearest."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind.bench.memory.building import LINKS, build
from arrowmind.bench.memory.crowd import CHUNK, Crowd
from arrowmind.bench.statistics import latency
from arrowmind.bench.targets import Verdict
from arrowmind.memory import MemoryStore, RecallSettings
from arrowmind.memory.searching.terms import query_terms
from arrowmind.memory.searching.vector_search import nearest
from arrowmind.memory.session import Session
from arrowmind.memory.storage.blocks import Filter
from arrowmind.memory.storage.catalogue import Catalogue
from arrowmind.memory.storage.paths import StorePaths
from arrowmind.memory.times import now_microseconds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import numpy.typing as npt

    from arrowmind.memory import TextEncoder
    from arrowmind.memory.storage.snapshot import Snapshot
    from arrowmind.observe import Progress

    FloatArray = npt.NDArray[np.float32]

__all__ = ["judge_large", "measure_large"]

_WARMING, _BEST, _EXACT = 20, 10, 100
_BUSY_SECONDS = 30.0
_WORD = "quokkaflute"
_MEGA = 1e6


def measure_large(
    count: int, encoder: TextEncoder, folder: Path, threads: int, progress: Progress
) -> dict[str, Any]:
    """Builds a store as far as it is missing, and asks it.

    Args:
        count: memories.
        encoder: of the queries and of the paragraphs the memories are made of.
        folder: of the store, which stays there.
        threads: of a whole recall; the vector leg alone has one.
        progress: called with what is done, all of it, and its name.

    Returns:
        JSON values: latencies of the legs and of whole recalls, seconds of the first one, ``recall10`` of the
        vector leg, ``codes_bytes``, whether an ``insert`` was visible at once and how long it took,
        ``reopen_ms`` and ``rows_per_second``.
    """
    crowd = Crowd.of(encoder, folder.parent, progress)
    rate = build(folder, crowd, encoder, count, progress)
    queries = encoder.encode(crowd.queries).astype(np.float32)
    result: dict[str, Any] = {"memories": count, "links": LINKS, "rows_per_second": rate, "threads": threads}
    result |= _ask(folder, encoder, crowd, threads)
    result |= _ask_legs(folder, encoder, crowd, queries, count)
    return result


def _ask(folder: Path, encoder: TextEncoder, crowd: Crowd, threads: int) -> dict[str, Any]:
    """Whole recalls, reopening, and a memory that is found as soon as it is there."""
    began = time.perf_counter()
    with MemoryStore(folder, encoder, recall_settings=RecallSettings(threads=threads)) as store:
        store.newest(1)
        opened = time.perf_counter() - began
        first = _timed(lambda: store.recall(crowd.queries[0], _BEST))
        for query in crowd.queries[:_WARMING]:
            store.recall(query, _BEST)
        seconds = [_timed(lambda q=query: store.recall(q, _BEST)) for query in crowd.queries]  # type: ignore[misc]
        began = time.perf_counter()
        new = store.remember(f"the {_WORD} was heard just now")
        inserted = time.perf_counter() - began
        visible = store.recall(f"who heard the {_WORD}?", 1)[0].id == new
        store.forget(new)
    return {
        "recall": latency(seconds),
        "first_recall_ms": 1e3 * first,
        "reopen_ms": 1e3 * opened,
        "insert": {"ms": 1e3 * inserted, "visible": visible},
    }


def _ask_legs(
    folder: Path, encoder: TextEncoder, crowd: Crowd, queries: FloatArray, count: int
) -> dict[str, Any]:
    """Each leg by itself, as a recall of ten asks it."""
    paths, settings = StorePaths(folder), RecallSettings(threads=1)
    with closing(Catalogue(paths.catalogue, _BUSY_SECONDS)) as catalogue:
        session = Session(catalogue, paths)
        snapshot, wanted = session.snapshot(), Filter(now_microseconds())
        depth = settings.depth
        legs: dict[str, Callable[[int], Any]] = {
            "encode": lambda i: encoder.encode([crowd.queries[i]]),
            "vectors": lambda i: nearest(snapshot.home, queries[i], depth, wanted, settings),
            "words": lambda i: session.texts.search(
                snapshot, list(query_terms(crowd.queries[i])), depth, wanted
            ),
        }
        measured = {name: latency(_each(leg, len(queries))) for name, leg in legs.items()}
        some = queries[:_EXACT]
        found = [
            [item.id for item in nearest(snapshot.home, query, depth, wanted, settings)[:_BEST]]
            for query in some
        ]
        codes = sum(block.rows.signs.nbytes for block in snapshot.blocks if block.rows.signs is not None)
        return {
            "legs": measured,
            "recall10": _overlap(found, _exact(crowd, some, count), snapshot),
            "codes_bytes": codes,
        }


def _each(leg: Callable[[int], Any], count: int) -> list[float]:
    for place in range(min(_WARMING, count)):
        leg(place)
    return [_timed(lambda p=place: leg(p)) for place in range(count)]  # type: ignore[misc]


def _timed(call: Callable[[], Any]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _exact(crowd: Crowd, queries: FloatArray, count: int) -> npt.NDArray[np.int64]:
    """Places of the nearest memories by their FP32 vectors, int64 [queries, 10]."""
    best = np.full((len(queries), _BEST), -2.0, np.float32)
    places = np.full((len(queries), _BEST), -1, np.int64)
    for start in range(0, count, CHUNK):
        vectors = crowd.chunk(start // CHUNK)[1][: count - start]
        joined = np.concatenate([best, queries @ vectors.T], axis=1)
        here = np.broadcast_to(np.arange(start, start + len(vectors)), (len(queries), len(vectors)))
        order = np.argsort(-joined, axis=1, kind="stable")[:, :_BEST]
        best = np.take_along_axis(joined, order, axis=1)
        places = np.take_along_axis(np.concatenate([places, here], axis=1), order, axis=1)
    return places


def _overlap(found: list[list[int]], exact: npt.NDArray[np.int64], snapshot: Snapshot) -> float:
    """Share of the exact neighbours that were found; the id of a memory follows from its place."""
    ids = snapshot.home.directory.ids
    pending = snapshot.pending.rows
    known = np.sort(np.append(ids, pending.ids[pending.first_rows]))
    shares = [
        len(set(given) & set(known[row[row >= 0]].tolist())) / max((row >= 0).sum(), 1)
        for given, row in zip(found, exact, strict=True)
    ]
    return float(np.mean(shares))


def judge_large(measured: Mapping[str, Any]) -> list[Verdict]:
    """Holds what was measured against the numbers."""
    count, vectors, recall = measured["memories"], measured["legs"]["vectors"], measured["recall"]

    def most(what: str, limit: float, value: float, unit: str) -> Verdict:
        return Verdict(f"{what}, of {count}", f"<= {limit:g} {unit}", f"{value:.1f} {unit}", value <= limit)

    def least(what: str, limit: float, value: float, form: str) -> Verdict:
        return Verdict(f"{what}, of {count}", f">= {limit:g}", format(value, form), value >= limit)

    return [
        most("vector leg on one thread, p50", 7, vectors["p50_ms"], "ms"),
        most("vector leg on one thread, p99", 15, vectors["p99_ms"], "ms"),
        least("the ten nearest by FP32, found", 0.99, measured["recall10"], ".4f"),
        most("one-bit codes", 100, measured["codes_bytes"] / _MEGA, "MB"),
        most("whole recall, p50", 25, recall["p50_ms"], "ms"),
        most("whole recall, p99", 60, recall["p99_ms"], "ms"),
        least("a new memory is found at once", 1, float(measured["insert"]["visible"]), ".0f"),
        most("reopening", 150, measured["reopen_ms"], "ms"),
        least("remembered per second, vectors given", 1000, measured["rows_per_second"], ".0f"),
    ]
