"""Start-up, memory and speed of a model folder: `measure_model.py MODEL < sentences.json` answers in JSON.

`first_at` is the time of the first embedding, in seconds since 1970: who starts this knows since when.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path

import psutil

from arrowmind import ArrowEngine

ROUNDS = 3


def sentences_per_second(engine: ArrowEngine, sentences: list[str]) -> float:
    """The median of a few rounds over all sentences."""
    rates = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        engine.encode(sentences)
        rates.append(len(sentences) / (time.perf_counter() - started))
    return statistics.median(rates)


def main() -> None:
    """Measures the model named on the command line."""
    model, process = Path(sys.argv[1]), psutil.Process()
    engine = ArrowEngine(model)
    engine.encode("The first text.")
    first, memory = time.time(), process.memory_info().rss
    values = {
        "file_bytes": (model / "weights.arrow").stat().st_size,
        "first_at": first,
        "rss_bytes": memory,
        "sentences_per_second": sentences_per_second(engine, json.load(sys.stdin)),
    }
    print(json.dumps(values))


if __name__ == "__main__":
    main()
