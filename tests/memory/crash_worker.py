"""A short life of a store, told on standard output.

`python -m tests.memory.crash_worker FOLDER SEED ROUNDS`
"""

from __future__ import annotations

import json
import os
import random
import sys
from pathlib import Path

from tests.memory.fake_encoder import FakeEncoder, FakeImages, picture

from arrowmind.memory import MemoryStore, StoreSettings
from arrowmind.memory.keeping.lifecycle import Change, Derived
from arrowmind.memory.storage.lifecycle_tables import Quote

SETTINGS = StoreSettings(flush_rows=12, batch_rows=32, merge_count=3, orphan_seconds=0.0)


def say(word: str, **facts: object) -> None:
    """One acknowledgement, in one write."""
    os.write(1, (json.dumps({"word": word, **facts}) + "\n").encode())


def live(folder: Path, seed: int, rounds: int) -> None:
    """Remembers, derives, forgets, compacts and aligns."""
    chance = random.Random(seed)
    mine: list[int] = []
    with MemoryStore(folder, FakeEncoder(16), image_engine=FakeImages(12), settings=SETTINGS) as store:
        for number in range(rounds):
            count = chance.randrange(1, 16)
            texts = [f"r{number} {i} word{chance.randrange(50)}" for i in range(count)]
            images = [None if i % 4 else picture(f"view {chance.randrange(5)}") for i in range(count)]
            ids = store.remember_many(texts, image=images)
            for id_, text in zip(ids, texts, strict=True):
                say("stored", id=id_, text=text)
            mine += ids
            if chance.random() < 0.4:
                sources = chance.sample(mine, min(2, len(mine)))
                fact = Derived(f"derived in {number}", tuple(Quote(id_, "word") for id_ in sources))
                tiers = dict.fromkeys(chance.sample(mine, min(8, len(mine))), 2)
                store.lifecycle.apply(Change(f"change {number}", "run", (fact,), tiers))
            if chance.random() < 0.5:
                gone = [mine.pop(chance.randrange(len(mine))) for _ in range(min(len(mine), 5))]
                say("forgetting", ids=gone)
                store.forget(gone)
                say("forgot", ids=gone)
            if chance.random() < 0.3:
                store.compact()
            elif chance.random() < 0.3:
                store.settle()
            if chance.random() < 0.2:
                store.align()
    say("closed")


if __name__ == "__main__":
    live(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
