"""One contender in a process of its own, driven by JSON lines: its memory, threads and crashes are its own.

The parent sends `{"do": ..., ...}` on standard input and gets one line back on what was standard output;
anything a library prints goes to standard error.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

import numpy as np

from arrowmind.bench.contenders import contender
from arrowmind.bench.contenders.base import Job, Session, Setting
from arrowmind.bench.resident import peak_bytes, resident_bytes
from arrowmind.observe.metrics import fallback_events

if TYPE_CHECKING:
    from collections.abc import Callable

Request = dict[str, Any]
Reply = dict[str, Any]


class Worker:
    """Holds the session and the texts between requests."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._module = contender(job.name).load()
        self._session: Session | None = None
        self._texts: dict[str, list[str]] = {}
        self._handlers: dict[str, Callable[[Request], Reply]] = {
            "prepare": self._prepare,
            "open": self._open,
            "texts": self._load_texts,
            "tune": self._tune,
            "time": self._time,
            "encode": self._encode,
            "memory": self._memory,
        }

    def handle(self, request: Request) -> Reply:
        """Answer one request; an exception becomes its text under `error`."""
        try:
            return self._handlers[request["do"]](request)
        except Exception as error:  # the parent reports it beside the other contenders
            return {"error": f"{type(error).__name__}: {error}"}

    def _prepare(self, _: Request) -> Reply:
        self._module.prepare(self._job)
        return {
            "bytes": self._module.model_bytes(self._job),
            "cold_script": self._module.cold_script(self._job),
            "fallbacks": [": ".join(event) for event in fallback_events.values()],
        }

    def _open(self, _: Request) -> Reply:
        began = time.perf_counter()
        self._session = self._module.open_session(self._job)
        return {"seconds": time.perf_counter() - began}

    def _load_texts(self, request: Request) -> Reply:
        self._texts = json.loads(Path(request["path"]).read_text(encoding="utf-8"))
        return {"counts": {name: len(texts) for name, texts in self._texts.items()}}

    def _tune(self, request: Request) -> Reply:
        session, texts = self._ready(request)
        trials = []
        for setting in session.settings():
            session.use(setting)
            session.encode(texts[:16])
            seconds = min(_timed(session, texts).wall for _ in range(request.get("repeats", 1)))
            trials.append((seconds, setting))
        best = min(trials, key=lambda trial: trial[0])[1]
        session.use(best)
        return {"setting": asdict(best), "trials": [{"seconds": t, **asdict(s)} for t, s in trials]}

    def _time(self, request: Request) -> Reply:
        session, texts = self._ready(request)
        if "setting" in request:
            session.use(Setting(**request["setting"]))
        for _ in range(request.get("warm", 0)):
            session.encode(texts)
        laps = [_timed(session, texts) for _ in range(request.get("repeats", 1))]
        return {"seconds": [lap.wall for lap in laps], "cpu": [lap.cpu for lap in laps]}

    def _encode(self, request: Request) -> Reply:
        session, texts = self._ready(request)
        with Path(request["out"]).open("wb") as file:
            np.save(file, np.asarray(session.encode(texts), np.float32))
        return {}

    def _memory(self, _: Request) -> Reply:
        return {"resident": resident_bytes(), "peak": peak_bytes()}

    def _ready(self, request: Request) -> tuple[Session, list[str]]:
        if self._session is None:
            raise RuntimeError("open comes first")
        return self._session, self._texts[request["texts"]]


class Lap(NamedTuple):
    """Seconds on the wall, and of processor time over all threads (which a busy machine changes less)."""

    wall: float
    cpu: float


def _timed(session: Session, texts: list[str]) -> Lap:
    wall, cpu = time.perf_counter(), time.process_time()
    session.encode(texts)
    return Lap(time.perf_counter() - wall, time.process_time() - cpu)


def _reply_stream() -> TextIO:
    """Keep the pipe to the parent, and send whatever is printed to standard error."""
    stream = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return stream


def _job(text: str) -> Job:
    raw = json.loads(text)
    model = None if raw["model"] is None else Path(raw["model"])
    return Job(raw["name"], Path(raw["source"]), Path(raw["cache"]), raw["threads"], model)


def serve(make: Callable[[Job], Callable[[Request], Reply]]) -> None:
    """Answer requests until standard input ends, with what `make` gives for the job of the command line."""
    replies = _reply_stream()
    handle = make(_job(sys.argv[1]))
    for line in sys.stdin:
        replies.write(json.dumps(handle(json.loads(line))) + "\n")
        replies.flush()


if __name__ == "__main__":
    serve(lambda job: Worker(job).handle)
