"""One contender in a process of its own, driven by JSON lines; see `arrowmind.bench.worker`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind.bench.language.contenders import LanguageSession, row_of
from arrowmind.bench.resident import peak_bytes, resident_bytes
from arrowmind.bench.worker import serve

if TYPE_CHECKING:
    from collections.abc import Callable

    from arrowmind.bench.contenders.base import Job

__all__ = ["LanguageWorker"]

Request = dict[str, Any]
Reply = dict[str, Any]


class LanguageWorker:
    """Holds the session between requests."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._module = row_of(job.name).load()
        self._session: LanguageSession | None = None
        self._handlers: dict[str, Callable[[Request], Reply]] = {
            "prepare": self._prepare,
            "open": self._open,
            "decode": self._decode,
            "prefill": self._prefill,
            "logits": self._logits,
            "memory": self._memory,
        }

    def handle(self, request: Request) -> Reply:
        """Answers one request; an exception becomes its text under `error`."""
        try:
            return self._handlers[request["do"]](request)
        except Exception as error:  # the parent reports it beside the other contenders
            return {"error": f"{type(error).__name__}: {error}"}

    def _prepare(self, _: Request) -> Reply:
        return {"bytes": self._module.prepare(self._job).stat().st_size}

    def _open(self, _: Request) -> Reply:
        began = time.perf_counter()
        session: LanguageSession = self._module.open_session(self._job)
        self._session = session
        return {"seconds": time.perf_counter() - began, "weight_bytes": session.weight_bytes}

    def _decode(self, request: Request) -> Reply:
        """Seconds of each token behind a prompt; the most likely one follows."""
        session = self._ready()
        session.restart()
        token, seconds = int(session.feed(request["prompt"]).argmax()), []
        for _ in range(request["tokens"]):
            began = time.perf_counter()
            token = int(session.feed([token]).argmax())
            seconds.append(time.perf_counter() - began)
        return {"seconds": seconds}

    def _prefill(self, request: Request) -> Reply:
        session = self._ready()
        session.restart()
        began = time.perf_counter()
        session.feed(request["prompt"])
        return {"seconds": time.perf_counter() - began}

    def _logits(self, request: Request) -> Reply:
        """Logits after a prompt, and after each of some tokens that follow whatever they say."""
        session = self._ready()
        session.restart()
        rows = [session.feed(request["prompt"]).copy()]
        rows += [session.feed([token]).copy() for token in request["forced"]]
        np.save(Path(request["out"]), np.stack(rows))
        return {}

    def _memory(self, _: Request) -> Reply:
        return {"resident": resident_bytes(), "peak": peak_bytes()}

    def _ready(self) -> LanguageSession:
        if self._session is None:
            raise RuntimeError("open comes first")
        return self._session


if __name__ == "__main__":
    serve(lambda job: LanguageWorker(job).handle)
