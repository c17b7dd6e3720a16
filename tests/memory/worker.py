"""A writer that tells what it does and can be killed at any moment, or at a named step.

As a module: `start` runs it in a process forked from a server that has everything imported. As a script:
`python -m tests.memory.worker FOLDER SEED ROUNDS` writes its messages to standard output.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tests.memory.fake_encoder import FakeEncoder, FakeImages, picture

from arrowmind.memory import MemoryStore, StoreSettings, steps
from arrowmind.memory.keeping.lifecycle import Change

SETTINGS = StoreSettings(flush_rows=24, batch_rows=64, merge_count=3, orphan_seconds=0.0)
ROOT = Path(__file__).parents[2]
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.memory.worker", "arrowmind.columnar.ipc_metadata", "tantivy"])


@dataclass(frozen=True)
class Job:
    folder: Path
    seed: int
    tag: str = "t"
    rounds: int = 10**6
    die_at: str = ""


def work(job: Job, say) -> None:
    """Remembers, forgets, compacts and recalls; `say` is called before a forget and after everything else."""
    chance = random.Random(job.seed)
    if job.die_at:
        _die_at(job.die_at, patience=chance.randrange(2))
    mine: list[int] = []
    engines = {"image_engine": FakeImages(12)}
    with MemoryStore(job.folder, FakeEncoder(16), settings=SETTINGS, **engines) as store:
        say(("ready", 0, ""))
        for number in range(job.rounds):
            count = chance.randrange(1, 30)
            texts = [f"{job.tag} {number} {i} word{chance.randrange(50)}" for i in range(count)]
            # Every third has an image, of which there are few.
            images = [None if i % 3 else picture(f"view {chance.randrange(9)}") for i in range(count)]
            ids = store.remember_many(texts, image=images)
            mine += ids
            for id_, text in zip(ids, texts, strict=True):
                say(("stored", id_, text))
            if chance.random() < 0.5:
                _forget(store, chance.sample(mine, min(len(mine), chance.randrange(1, 25))), mine, say)
            if chance.random() < 0.3:
                cold = dict.fromkeys(chance.sample(mine, min(len(mine), 12)), 2)
                store.lifecycle.apply(Change(f"{job.tag} {number}", tiers=cold))
            if chance.random() < 0.2:
                store.compact()
            store.recall(f"word{number}")
    say(("done", 0, ""))


def _forget(store: MemoryStore, gone: list[int], mine: list[int], say) -> None:
    for id_ in gone:
        say(("forgetting", id_, ""))
        mine.remove(id_)
    store.forget(gone)
    for id_ in gone:
        say(("forgot", id_, ""))


def _die_at(step: str, patience: int) -> None:
    left = [patience]

    def die(reached: str) -> None:
        if reached == step:
            left[0] -= 1
            if left[0] < 0:
                os._exit(9)

    steps.set_hook(die)


def _run(job: Job, pipe) -> None:
    work(job, pipe.send)


@dataclass
class Worker:
    process: multiprocessing.process.BaseProcess
    pipe: multiprocessing.connection.Connection
    messages: list[tuple[str, int, str]] = field(default_factory=list)

    def read(self) -> tuple[str, int, str] | None:
        """The next message; None when the worker ended, in the middle of a message or not."""
        try:
            self.messages.append(self.pipe.recv())
        except (EOFError, OSError):
            return None
        return self.messages[-1]

    def finish(self) -> int:
        """Reads to the end; returns the exit code."""
        while self.read():
            pass
        self.process.join()
        self.pipe.close()
        return self.process.exitcode


def start(job: Job) -> Worker:
    # The server of forks finds modules by its environment only.
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), *sys.path]))
    here, there = _CONTEXT.Pipe(duplex=False)
    process = _CONTEXT.Process(target=_run, args=(job, there))
    process.start()
    there.close()
    return Worker(process, here)


def ids_for_another_process(folder: Path) -> list[int]:
    """Which memories a process finds that holds nothing of the store yet."""
    script = (
        "import sys; from arrowmind.memory import MemoryStore; store = MemoryStore(sys.argv[1]); "
        "print(*(id for id in range(1, 100) if store.get(id)))"
    )
    command = [sys.executable, "-c", script, str(folder)]
    return [int(id_) for id_ in subprocess.check_output(command, timeout=60).split()]


if __name__ == "__main__":
    arguments = sys.argv[1:]
    work(
        Job(Path(arguments[0]), int(arguments[1]), rounds=int(arguments[2])),
        lambda message: os.write(1, f"{message[0]} {message[1]}\n".encode()),
    )
