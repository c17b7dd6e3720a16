"""What consolidation frees and costs, on LoCoMo conversations with a real encoder, no language model.

    python benchmarks/bench_consolidation.py MODEL LOCOMO_FOLDER

Each conversation is a store. All of its turns are consolidated, after which they lie in cold files. The
questions are asked before, after, and without encoding the best cold memories again ("one_bit"). A question
is answered when one of the first ten hits is a turn that answers it; "by citation" also counts hits derived
from such a turn.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from arrowmind import ArrowEngine, MemoryStore
from arrowmind.bench.memory.conversations import Conversation, read_conversations
from arrowmind.consolidate import Consolidator, RunSettings
from arrowmind.consolidate.candidates import Grouping
from arrowmind.consolidate.summarisers import SummariserSetup, open_summariser
from arrowmind.consolidate.wiring import StoreView
from arrowmind.memory import RecallSettings

if TYPE_CHECKING:
    import numpy as np

_ROW = 40  # bytes of ids, moments, checksum and scale of a hot row
_PLAIN = 384 * 4 + 64  # of a row of 384 numbers of 32 bits and what else there is, without the text


def _fill(store: MemoryStore, talk: Conversation, vectors: np.ndarray) -> list[int]:
    texts = [turn.text for turn in talk.turns]
    ids = store.remember_many(texts, vectors, timestamp=[turn.moment for turn in talk.turns])
    store.flush()
    return ids


def _answered(store: MemoryStore, talk: Conversation, ids: list[int], asked: np.ndarray) -> tuple[int, int]:
    """Questions answered by a turn itself, and also by citation."""
    strict = cited = 0
    for question, vector in zip(talk.questions, asked, strict=True):
        wanted = {ids[place] for place in question.turns}
        hits = store.recall(question.text, 10, embedding=vector)
        found = {hit.id for hit in hits}
        quoted = {q.source for hit in hits if hit.record.derivation for q in hit.record.derivation.quotes}
        strict += bool(wanted & found)
        cited += bool(wanted & (found | quoted))
    return strict, cited


def _hot_bytes(store: MemoryStore, dimension: int) -> int:
    """Text, INT8 vector, one-bit code and columns of what is hot or warm."""
    size = 0
    for id_ in range(1, store.stats().records + 1):
        record = store.get(id_)
        if record is not None and record.tier in ("hot", "warm"):
            size += len(record.text.encode()) + dimension + dimension // 8 + _ROW
    return size


def _bytes_of(folder: Path, pattern: str) -> int:
    return sum(path.stat().st_size for path in (folder / "segments").glob(pattern))


def _state(store: MemoryStore, ids: list[int]) -> list[dict[str, object]]:
    return [store.get(id_).to_dict() | {"access_count": 0, "last_access": None} for id_ in ids]  # type: ignore[union-attr]


def _measure(
    engine: ArrowEngine, talk: Conversation, folder: Path, settings: RunSettings, share: float
) -> dict[str, float]:
    vectors = engine.encode([turn.text for turn in talk.turns])
    asked = engine.encode([question.text for question in talk.questions])
    with MemoryStore(folder / "store", engine) as store:
        ids = _fill(store, talk, vectors)
        before, state = _answered(store, talk, ids, asked)[0], _state(store, ids)
        hot, segments_before = _hot_bytes(store, engine.dimension), _bytes_of(folder / "store", "*")
        view = StoreView(store, engine)
        setup = SummariserSetup(view.embed, share=share)
        work = Consolidator(view, open_summariser("extractive", setup), settings)
        start = time.perf_counter()
        report = work.run()
        seconds = time.perf_counter() - start
        after = _answered(store, talk, ids, asked)
        left = _hot_bytes(store, engine.dimension)
        derived = [store.get(id_) for id_ in range(len(ids) + 1, len(ids) + 1 + report.derived)]
        unproved = sum(
            quote.text not in talk.turns[ids.index(quote.source)].text
            for record in derived
            if record is not None and record.derivation is not None
            for quote in record.derivation.quotes
        )
        sources = {q.source for r in derived if r and r.derivation for q in r.derivation.quotes}
        size = {
            "cold_file": _bytes_of(folder / "store", "*.cold.arrow"),
            "segments": _bytes_of(folder / "store", "*"),
        }
        sizes = [
            len(r.text.encode()) for id_ in ids if (r := store.get(id_)) is not None and r.tier == "cold"
        ]
        with MemoryStore(folder / "store", engine, recall_settings=RecallSettings(cold_finalists=0)) as other:
            one_bit = _answered(other, talk, ids, asked)[0]
        problems = store.verify().problems
        work.undo()
        restored = _state(store, ids) == state and store.stats().records == len(ids)
        view.close()
    return {
        "turns": len(ids),
        "questions": len(talk.questions),
        "groups": report.visible,
        "sources": report.sources,
        "quoted": len(sources),
        "before": before,
        "after": after[0],
        "by_citation": after[1],
        "one_bit": one_bit,
        "hot_before": hot,
        "hot_after": left,
        "cold": len(sizes),
        **size,
        "segments_before": segments_before,
        "plain": sum(_PLAIN + size for size in sizes),
        "problems": len(problems),
        "unproved": unproved,
        "restored": restored,
        "seconds": seconds,
    }


def main() -> int:
    """Measures all conversations; prints one line of JSON for each, and the whole."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", help="folder of the encoder")
    parser.add_argument("locomo", type=Path, help="folder of the conversations")
    parser.add_argument("--share", type=float, default=0.3, help="of the signs of a group that stay")
    words = parser.parse_args()
    engine = ArrowEngine(words.model)
    grouping = Grouping(cosine=0.5, cosine_in_time=0.15, least=3)
    settings = RunSettings(min_access=0, min_age_seconds=0, grouping=grouping)
    total: dict[str, float] = {}
    for talk in read_conversations(words.locomo):
        with tempfile.TemporaryDirectory() as folder:
            found = _measure(engine, talk, Path(folder), settings, words.share)
        print(json.dumps({"conversation": talk.name, **found}), flush=True)
        total = {name: total.get(name, 0) + value for name, value in found.items()}
    share = {
        name: 100 * total[name] / total["questions"] for name in ("before", "after", "by_citation", "one_bit")
    }
    freed = 100 * (1 - total["hot_after"] / total["hot_before"])
    print(f"any@10: {', '.join(f'{name} {value:.1f}' for name, value in share.items())}")
    print(
        f"hot bytes freed: {freed:.1f} %; cold file {total['plain'] / total['cold_file']:.1f} times smaller"
    )
    print(
        f"quotes that do not stand in their source: {total['unproved']:.0f}; "
        f"undone as before: {total['restored']:.0f}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
