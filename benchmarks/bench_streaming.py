"""Texts from 4 thousand to 1 million tokens in constant memory, and what is found again in them.

    python benchmarks/bench_streaming.py build/streaming --tokens 1000000

Builds the model of `needle_model.py` (once) and feeds one text with needles to a reader. At every step, 4 k
tokens and powers of two on, the resident memory of the process is noted; at the end questions are asked about
facts at any depth, each among others that share two of its three words. Verdicts: at all steps memory is
within 2 % of the middle between the least and the most, and 95 % of the facts are found.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind import ArrowEngine
from arrowmind.bench.hardware import hardware_record

sys.path.insert(0, str(Path(__file__).parent))
import needle_model

if TYPE_CHECKING:
    from collections.abc import Iterator

    from arrowmind.engine.reading import TextReader

FIRST, PIECE = 4096, 4096
FLATNESS, RECALL = 0.02, 0.95
ROWS = 4096
"""Words of the text that are made at a time: the text itself must not be in memory, either."""


def resident_bytes() -> int:
    """Memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Text:
    """Pieces of a text of any length, made as they are asked for; needles at random places."""

    def __init__(self, tokens: int, needles: int, distractors: int, seed: int) -> None:
        """`needles` are asked for, `distractors` share two words with one of them."""
        self.tokens = tokens
        hay = needle_model.hidden_facts(needles, distractors, seed)
        self.asked = hay[:needles]
        rng = np.random.default_rng([seed, 1])
        places = np.sort(rng.choice(tokens - 8192, len(hay), replace=False))
        order = rng.permutation(len(hay))
        self._places = list(zip(places.tolist(), (hay[i] for i in order), strict=True))
        self._seed = seed

    def __iter__(self) -> Iterator[str]:
        waiting = list(reversed(self._places))
        for number, begin in enumerate(range(0, self.tokens, ROWS)):
            words = needle_model.filler_words(ROWS, [self._seed, 2, number])
            inside = []
            while waiting and waiting[-1][0] < begin + ROWS:
                inside.append(waiting.pop())
            for place, needle in reversed(inside):
                words[place - begin : place - begin] = [*needle.key, needle.value]
            text = " ".join(words) + " "
            for at in range(0, len(text), PIECE * 5):
                yield text[at : at + PIECE * 5]


def read(reader: TextReader, text: Text) -> list[dict[str, Any]]:
    """Feeds the text; memory and speed at each step."""
    steps: list[dict[str, Any]] = []
    wanted, begun, before = FIRST, time.perf_counter(), 0

    def watched() -> Iterator[str]:
        nonlocal wanted, begun, before
        for piece in text:
            yield piece
            done = reader.stats.tokens
            if done >= wanted:
                now = time.perf_counter()
                rate = (done - before) / (now - begun)
                steps.append({"tokens": done, "resident_bytes": resident_bytes(), "tokens_per_second": rate})
                print(
                    f"{done:>9,} tokens: {steps[-1]['resident_bytes'] / 1e6:.2f} MB, {rate:,.0f} tokens/s",
                    flush=True,
                )
                while wanted <= done:
                    wanted *= 2
                begun, before = now, done

    reader.feed(watched())
    done = reader.stats.tokens
    steps.append({"tokens": done, "resident_bytes": resident_bytes()})
    print(f"{done:>9,} tokens: {steps[-1]['resident_bytes'] / 1e6:.2f} MB at the end", flush=True)
    return steps


def found(reader: TextReader, needles: list[needle_model.Needle]) -> tuple[int, float]:
    """How many facts the model tells, and seconds per question."""
    begun, right = time.perf_counter(), 0
    for needle in needles:
        answer = reader.generate(" ".join(needle.key), max_tokens=1)
        right += answer.text.strip() == needle.value
    return right, (time.perf_counter() - begun) / len(needles)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tokens", type=int, default=1_000_000)
    parser.add_argument("--needles", type=int, default=100)
    parser.add_argument("--distractors", type=int, default=300)
    parser.add_argument("--window", type=int, default=512)
    parser.add_argument("--codes", default="int8", choices=("int8", "k4v4", "k4v3"))
    parser.add_argument("--store-bytes", default="", help="most bytes of keys and values on disk, as 2GiB")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    if not (given.folder / "config.json").exists():
        needle_model.make(given.folder)
    engine = ArrowEngine(given.folder, threads=given.threads)
    text = Text(given.tokens, given.needles, given.distractors, given.seed)
    options: dict[str, Any] = {"window": given.window, "codes": given.codes, "store_bytes": given.store_bytes}
    with engine.reader(**options) as reader:
        steps = read(reader, text)
        right, seconds = found(reader, text.asked)
        stats = reader.stats
    print(f"{right} of {given.needles} facts told, {1000 * seconds:.1f} ms per question; {stats}")
    sizes = [step["resident_bytes"] for step in steps]
    spread = (max(sizes) - min(sizes)) / (max(sizes) + min(sizes))
    for what, value, limit, met in (
        (
            "resident memory from 4 k tokens on, more or less than its middle",
            spread,
            FLATNESS,
            spread <= FLATNESS,
        ),
        ("facts that are told", right / given.needles, RECALL, right >= RECALL * given.needles),
    ):
        print(f"{what}: {100 * value:.2f} % (goal {100 * limit:.0f} %): {'met' if met else 'MISSED'}")
    if given.json:
        record = {
            "hardware": hardware_record(),
            "options": {key: str(value) for key, value in vars(given).items()},
            "steps": steps,
            "memory_spread": spread,
            "recall": right / given.needles,
            "seconds_per_question": seconds,
            "grades": stats.grades,
            "store_bytes": stats.store_bytes,
        }
        given.json.write_text(json.dumps(record, indent=1, default=str))
    engine.close()


if __name__ == "__main__":
    main()
