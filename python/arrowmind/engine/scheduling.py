"""Continuous batching: in each step all sequences that can go on are fed in one run of the decoder.

One that ends leaves, one that waits joins. Prompts are read in parts, small ones while others write. When
the cache is full, kept prefixes go first, then the youngest sequence goes back to the queue and is read
again later. None of this changes a token, as logits do not depend on what is run together.
"""

from __future__ import annotations

import contextlib
from collections import deque
from typing import TYPE_CHECKING

from arrowmind.engine.prefixes import KeptPrefixes, common_length
from arrowmind.errors import CacheFullError
from arrowmind.frozen import dataclass
from arrowmind.generate import Peaks
from arrowmind.observe import get_logger, metrics

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from arrowmind.engine.comparing import Witness
    from arrowmind.engine.jobs import BatchDecoder, Job
    from arrowmind.generate import Candidates

__all__ = ["Schedule", "ScheduleSettings"]

_log = get_logger("arrowmind.engine")
# Shorter common beginnings are not worth a sequence that is copied page by page.
_LEAST_SHARED = 16
# Steps between updates of the metrics, which cost as much as choosing a token.
_TOLD_EVERY = 16
# What waiting for another sequence to read it must spare.
_WORTH_WAITING = 64


@dataclass(frozen=True)
class ScheduleSettings:
    """Bounds of a schedule.

    Attributes:
        max_streams: Most sequences that are run together.
        prompt_tokens: Tokens of prompts in a step when nobody writes; more where the decoder has a device
            to fill.
        shared_prompt_tokens: The same while others write, whose next tokens wait that long.
        kept_prefixes: Ended sequences whose cache is kept for prompts that begin alike.
        headroom: Tokens left free for each running sequence when another one joins.
        longest_cut: A cache that keeps tokens from afar in fewer bits cannot give them back exactly: of a
            sequence, only beginnings that leave out so many of its last tokens are shared; None: all are.
    """

    max_streams: int = 64
    prompt_tokens: int = 512
    shared_prompt_tokens: int = 64
    kept_prefixes: int = 16
    headroom: int = 64
    longest_cut: int | None = None


class Schedule:
    """The sequences of one decoder. Not for several threads; `DecodeWorker` is."""

    def __init__(
        self,
        decoder: BatchDecoder,
        settings: ScheduleSettings | None = None,
        name: str = "",
        witness: Witness | None = None,
    ) -> None:
        """An empty schedule.

        Args:
            decoder: Runs the model.
            settings: Bounds.
            name: Of the model, in metrics and logs.
            witness: Is told of each text that is complete.
        """
        self._witness = witness
        self._decoder = decoder
        self._settings = settings or ScheduleSettings()
        self._name = name
        self._waiting: deque[Job] = deque()
        self._running: list[Job] = []
        self._kept = KeptPrefixes(decoder, self._settings.kept_prefixes, self._settings.longest_cut)
        self._steps = self._written = 0  # tokens since the metrics were told

    @property
    def waiting(self) -> int:
        """Sequences that wait to join."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """Sequences that are being read or written."""
        return len(self._running)

    def add(self, job: Job) -> None:
        """Queues a sequence."""
        self._waiting.append(job)

    def step(self) -> bool:
        """Runs the decoder once for all that can go on; False when there is nothing left to do."""
        self._drop_cancelled()
        self._admit()
        self._run(self._plan())
        self._steps += 1
        goes_on = bool(self._running or self._waiting)
        if not goes_on or self._steps % _TOLD_EVERY == 0:
            self._tell()
        return goes_on

    def close(self, error: Exception) -> None:
        """Ends every sequence with `error` and frees the cache."""
        for job in [*self._running, *self._waiting]:
            self._end(job, error)
        self._waiting.clear()
        self._kept.clear()
        self._tell()

    def _drop_cancelled(self) -> None:
        for job in [job for job in self._running if job.is_cancelled]:
            self._end(job)
        for job in [job for job in self._waiting if job.is_cancelled]:
            self._waiting.remove(job)
            self._end(job)

    def _admit(self) -> None:
        """Lets those join that there is room for, in the order of their arrival."""
        for job in list(self._waiting):
            if len(self._running) >= self._settings.max_streams:
                return
            if not self._is_soon_shared(job) and not self._join(job):
                return

    def _is_soon_shared(self, job: Job) -> bool:
        """Whether a sequence that is being read will hold much more of this prompt than there is now."""
        wanted = job.sharable
        coming = (common_length(wanted, [*other.fed, *other.pending]) for other in self._running)
        best = max(coming, default=0)
        return best >= _WORTH_WAITING and best >= self._longest(job)[1] + _WORTH_WAITING

    def _join(self, job: Job) -> bool:
        """Starts a sequence in the decoder, by a fork where its beginning is there; False without room."""
        if not self._make_room_for(len(job.pending) - self._longest(job)[1]):
            return False
        self._waiting.remove(job)
        self._running.append(job)
        handle, shared = self._longest(job)
        forked = self._fork(handle, shared) if shared >= _LEAST_SHARED else None
        shared = 0 if forked is None else self._decoder.length(forked)
        job.begin(self._decoder.start() if forked is None else forked, shared)
        metrics.reused_tokens.add(shared, model=self._name)
        return True

    def _fork(self, handle: int, tokens: int) -> int | None:
        try:
            return self._decoder.fork(handle, tokens)
        except CacheFullError:  # for the page that cannot be shared; the prompt is read, then
            return None

    def _longest(self, job: Job) -> tuple[int, int]:
        """Handle and length of what is in the cache of its beginning."""
        living = [(other.handle, other.fed) for other in self._running if other.handle is not None]
        return self._kept.longest(job.sharable, living)

    def _make_room_for(self, tokens: int) -> bool:
        """Frees kept prefixes until this many tokens fit beside those that run."""
        if self._running:
            tokens += sum(len(job.pending) + self._settings.headroom for job in self._running)
        while self._decoder.free_tokens < tokens:
            if not self._kept.evict():
                return not self._running  # alone it may try: the decoder has the last word
        return True

    def _plan(self) -> list[tuple[Job, int]]:
        """Who is fed in this step, and how many tokens."""
        if len(self._running) > 1:
            for job in self._running:
                job.is_alone = False
        for job in list(self._running):
            try:
                job.renew()
            except Exception as error:
                self._end(job, error)
        parts = [(job, len(job.pending)) for job in self._running if job.is_writing]
        settings = self._settings
        alone = self._decoder.step_tokens(settings.prompt_tokens)
        room = settings.shared_prompt_tokens if parts else alone
        for job in self._running:
            if not job.is_writing and room > 0:
                count = job.part(room)
                parts.append((job, count))
                room -= count
        return parts

    def _run(self, parts: list[tuple[Job, int]]) -> None:
        while parts:
            feeds = [
                (job.handle or 0, job.pending[:count], job.rows if count == len(job.pending) else 0)
                for job, count in parts
            ]
            try:
                logits = self._append(parts, feeds)
            except CacheFullError as error:
                parts = self._make_room(parts, error)
            except Exception as error:
                self._run_apart(parts, error)
                return
            else:
                for (job, count), rows in zip(parts, logits, strict=True):
                    self._advance(job, count, rows)
                return

    def _append(
        self, parts: list[tuple[Job, int]], feeds: list[tuple[int, list[int], int]]
    ) -> Sequence[NDArray[np.float32] | Peaks | Candidates]:
        """What each needs of its rows of logits; what is on a device stays there as far as it can."""
        decoder = self._decoder
        jobs = [(job.sequence, feed[2]) for (job, _), feed in zip(parts, feeds, strict=True)]
        # Who is fed a part of a prompt has no rows, and needs none.
        of_rows = [(sequence, rows) for sequence, rows in jobs if rows > 0]
        if not decoder.gives_peaks or not of_rows:
            return decoder.append(feeds)
        if all(sequence.takes_peaks for sequence, _ in of_rows):
            self._tell_rows("highest", sum(rows for _, rows in of_rows))
            return [Peaks(*peaks) for peaks in decoder.append_peaks(feeds)]
        whole = sum(rows for sequence, rows in of_rows if sequence.need is None)
        candidates = sum(rows for _, rows in of_rows) - whole
        self._tell_rows("whole", whole)
        self._tell_rows("candidates", candidates)
        if not candidates:
            return decoder.append(feeds)
        return decoder.append_candidates(feeds, [sequence.need for sequence, _ in jobs])

    def _tell_rows(self, what: str, rows: int) -> None:
        if rows:
            metrics.logit_rows.add(rows, model=self._name, what=what)

    def _run_apart(self, parts: list[tuple[Job, int]], error: Exception) -> None:
        """One of several failed: each alone, so that only those end that fail alone, too."""
        for job, count in parts:
            handle = job.handle or 0
            surplus = self._decoder.length(handle) - len(job.fed)
            if surplus > 0:
                self._decoder.forget(handle, surplus)
            if len(parts) > 1:
                self._run([(job, count)])
            else:
                self._end(job, error)

    def _make_room(self, parts: list[tuple[Job, int]], error: CacheFullError) -> list[tuple[Job, int]]:
        """What can be run after something made room: a kept prefix, or else the youngest sequence."""
        if self._kept.evict():
            return parts
        youngest = max(self._running, key=lambda job: job.number)
        if len(self._running) == 1:
            self._end(youngest, error)
            return []
        _log.info("the cache is full: a sequence is read again later", model=self._name)
        metrics.preemptions.add(model=self._name)
        self._running.remove(youngest)
        self._decoder.close(youngest.handle or 0)
        youngest.take_back()
        self._waiting.appendleft(youngest)
        return [part for part in parts if part[0] is not youngest]

    def _advance(self, job: Job, count: int, logits: NDArray[np.float32] | Peaks | Candidates) -> None:
        """Takes the logits of a run, and hands on the tokens that they give."""
        job.fed += job.pending[:count]
        job.pending = job.pending[count:]
        if job.pending:
            return
        is_first = not job.sequence.token_ids
        try:
            delta = job.sequence.take(logits)
            if delta.forget:
                self._decoder.forget(job.handle or 0, delta.forget)
                del job.fed[-delta.forget :]
            job.consumer.add(delta)
        except Exception as error:
            self._end(job, error)
            return
        if is_first:
            timings = job.sequence.result().timings
            metrics.prompt_tokens.add(timings.prompt_tokens, model=self._name)
            metrics.first_token_seconds.observe(timings.first_token_seconds, model=self._name)
        self._written += len(delta.token_ids)
        if delta.finish_reason is not None:
            if self._witness is not None:
                self._witness.ended(job.sequence.result().timings, alone=job.is_alone)
            self._end(job)

    def _end(self, job: Job, error: Exception | None = None) -> None:
        """Takes a sequence out; what its cache holds is kept unless it failed."""
        if job in self._running:
            self._running.remove(job)
        handle, job.handle = job.handle, None
        try:
            if handle is not None and error is None:
                self._kept.keep(handle, job.fed)
            elif handle is not None:
                self._decoder.close(handle)
        except Exception:
            _log.exception("a sequence could not be freed", model=self._name)
        reason = "error" if error is not None else job.sequence.finish_reason or "cancelled"
        metrics.generations.add(model=self._name, reason=reason)
        self._tell_written()
        with contextlib.suppress(Exception):  # who is gone need not be told
            job.consumer.finish(error)

    def _tell_written(self) -> None:
        metrics.generated_tokens.add(self._written, model=self._name)
        self._written = 0

    def _tell(self) -> None:
        self._tell_written()
        metrics.streams.set(len(self._running), model=self._name)
        metrics.waiting.set(len(self._waiting), model=self._name)
        metrics.cache_free_tokens.set(self._decoder.free_tokens, model=self._name)
