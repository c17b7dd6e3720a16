"""Runs a model of several senses over samples, and lets others see what enters its matrices."""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from arrowmind.engine.batching import pack
from arrowmind.engine.layers import Options
from arrowmind.engine.senses import cut_at_end
from arrowmind.engine.tower_compiler import compile_memory, compile_tower
from arrowmind.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from arrowmind import _native
    from arrowmind.engine.samples import Samples
    from arrowmind.engine.senses import Senses
    from arrowmind.engine.tokenizer import TextTokenizer
    from arrowmind.models.tower_spec import Tower
    from arrowmind.weights import WeightSource

__all__ = ["SenseRecording", "Stage"]

# Images and sounds that are run; more cost time and gain little.
_MOST_IMAGES = 96
_MOST_SOUNDS = 48
# Rows of a run, about.
_RUN_ROWS = 2048
_MARGIN = 0.5
_WHOLE = 1 << 30
"""Rows of a micro-batch: all, so that rows come in order."""

StageKind = Literal["text", "image", "sound", "memory", "transcript"]


class Stage(NamedTuple):
    """A plan of the model.

    Attributes:
        kind: which.
        tower: that it is of.
        first: number of its first block; blocks are counted through all stages.
        blocks: how many it has, at least one.
    """

    kind: StageKind
    tower: Tower
    first: int
    blocks: int


class SenseRecording:
    """A model over samples, activations in float32."""

    def __init__(self, senses: Senses, tokenizer: TextTokenizer, samples: Samples, most: int = 600) -> None:
        """Reads the samples, `most` of each sense at most.

        Raises:
            InvalidArgumentError: there are none for a tower, or a file cannot be read.
        """
        self._senses = senses
        self.stages = _stages(senses)
        kinds = {stage.kind for stage in self.stages}
        ids = [one for one in tokenizer.encode(samples.texts[:most]) if one]
        self._ids = [cut_at_end(one) for one in ids] if "text" in kinds else ids
        images = _spaced(samples.image_names, min(most, _MOST_IMAGES)) if "image" in kinds else []
        self._images = [senses.pixels(samples.image(name)) for name in images]
        sounds = _spaced(samples.sound_names, min(most, _MOST_SOUNDS)) if "sound" in kinds else []
        self._windows = [senses.windows(samples.sound(name), _MARGIN)[0] for name in sounds]
        reads_tokens = bool(kinds & {"text", "transcript"})
        if (reads_tokens and not self._ids) or not (self._ids or self._images or self._windows):
            raise InvalidArgumentError("no texts to calibrate on; give at least one")

    def run(
        self,
        weights: WeightSource,
        threads: _native.ThreadPool,
        blocks: set[int],
        options: Options,
        after: Callable[[], None],
    ) -> None:
        """Runs the stages that hold `blocks`, and those they need.

        Args:
            weights: of the model.
            threads: to run on.
            blocks: numbers of blocks that are looked at.
            options: who looks.
            after: called after each run of a plan.
        """
        wanted = [stage for stage in self.stages if any(_holds(stage, block) for block in blocks)]
        kinds = {stage.kind for stage in wanted}
        for stage in self.stages:
            if stage.kind in kinds and stage.kind in ("text", "image"):
                plan = self.plan(stage, weights, options, blocks)
                for _ in self._run_alone(stage, plan, threads):
                    after()
        if kinds & {"sound", "memory", "transcript"}:
            self._run_sounds(weights, threads, blocks, options, after)

    def plan(
        self, stage: Stage, weights: WeightSource, options: Options, blocks: set[int] | None = None
    ) -> _native.Plan:
        """The plan of a stage, up to the last of `blocks` that it has; whole where None."""
        if stage.kind == "memory":
            return compile_memory(stage.tower, weights, options)
        tower = stage.tower
        if blocks is not None:
            held = [block - stage.first for block in blocks if _holds(stage, block)]
            # A stage that others need is run whole.
            last = max(held) + 1 if max(blocks) < stage.first + stage.blocks else len(tower.blocks)
            tower = replace(tower, blocks=tower.blocks[:last])
        return compile_tower(tower, weights, options)

    def vectors(self, weights: WeightSource, threads: _native.ThreadPool) -> NDArray[np.float32]:
        """What each tower makes of some samples, rows of length 1 and one width."""
        found: list[NDArray[Any]] = []
        by_kind = {stage.kind: stage for stage in self.stages}
        for kind in ("text", "image"):
            if kind in by_kind:
                plan = self.plan(by_kind[kind], weights, Options(False))
                found += list(self._run_alone(by_kind[kind], plan, threads))[:2]
        if "sound" in by_kind:
            made: list[NDArray[Any]] = []
            self._run_sounds(weights, threads, {_WHOLE}, Options(False), lambda: None, made.append)
            found += made
        rows = np.concatenate(found).astype(np.float32)
        rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
        return rows

    def _run_alone(
        self, stage: Stage, plan: _native.Plan, threads: _native.ThreadPool
    ) -> Iterator[NDArray[np.float32]]:
        if stage.kind == "text":
            for part in _parts(self._ids, [len(one) for one in self._ids]):
                batch = pack(part)
                yield plan.run(batch.token_ids, batch.offsets, threads, False, _WHOLE)
            return
        rows = stage.tower.rows
        for pixels in _parts(self._images, [rows] * len(self._images)):
            offsets = np.arange(len(pixels) + 1, dtype=np.int32) * rows
            yield plan.run_rows(self._senses.image_rows(pixels), threads, offsets, micro_tokens=_WHOLE)

    def _run_sounds(
        self,
        weights: WeightSource,
        threads: _native.ThreadPool,
        blocks: set[int],
        options: Options,
        after: Callable[[], None],
        take: Callable[[NDArray[Any]], None] | None = None,
    ) -> None:
        """The sounds, then what looks at them; `take` is given a row per sound, and per text."""
        plans = {
            stage.kind: self.plan(stage, weights, options, blocks)
            for stage in self.stages
            if stage.first <= max(blocks)
        }
        done = 0
        for windows in _parts(self._windows, [one.rows for one in self._windows]):
            rows, offsets = self._senses.sound_rows(windows)
            states = plans["sound"].run_rows(rows, threads, offsets, micro_tokens=_WHOLE)
            after()
            if take is not None:
                take(_means(states, offsets))
            if "memory" not in plans:
                continue
            memory = plans["memory"].run_rows(states, threads)
            after()
            if "transcript" not in plans:
                continue
            ids = [self._ids[(done + i) % len(self._ids)] for i in range(len(windows))]
            done += len(windows)
            places = np.array([0, *accumulate(map(len, ids))], dtype=np.int32)
            tokens = np.concatenate([np.asarray(one, dtype=np.int32) for one in ids])
            written = plans["transcript"].run(
                tokens, places, threads, False, _WHOLE, memory=memory, memory_offsets=offsets
            )
            after()
            if take is not None:
                take(_means(written, places))


def _stages(senses: Senses) -> list[Stage]:
    found: list[Stage] = []
    for tower in senses.model.towers:
        first = sum(stage.blocks for stage in found)
        if tower.kind == "transcript":
            found.append(Stage("memory", tower, first, 1))
            first += 1
        found.append(Stage(tower.kind, tower, first, len(tower.blocks)))
    return found


def _holds(stage: Stage, block: int) -> bool:
    return stage.first <= block < stage.first + stage.blocks


def _spaced(names: Sequence[str], most: int) -> list[str]:
    """At most `most` of them, from all places."""
    return list(names[:: max(1, -(-len(names) // most))])


def _parts(listed: Sequence[Any], rows: Sequence[int]) -> Iterator[list[Any]]:
    part: list[Any] = []
    held = 0
    for one, size in zip(listed, rows, strict=True):
        if part and held + size > _RUN_ROWS:
            yield part
            part, held = [], 0
        part.append(one)
        held += size
    if part:
        yield part


def _means(rows: NDArray[np.float32], offsets: NDArray[np.int32]) -> NDArray[np.float64]:
    sums = np.add.reduceat(rows, offsets[:-1], axis=0, dtype=np.float64)
    means: NDArray[np.float64] = sums / np.diff(offsets)[:, None]
    return means
