"""What the quantiser asks of an engine, for models of several senses: statistics, moments, and a check."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from arrowmind import _native
from arrowmind.engine.inputs import check_texts
from arrowmind.engine.layers import Options
from arrowmind.engine.samples import Samples
from arrowmind.engine.sense_recording import SenseRecording
from arrowmind.engine.senses import Senses
from arrowmind.engine.tokenizer import TextTokenizer
from arrowmind.errors import InvalidArgumentError
from arrowmind.observe import no_progress
from arrowmind.quantize import InputGroup, InputStatistics, Overlay

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from arrowmind.engine.engine import ArrowEngine
    from arrowmind.engine.folder import ModelFolder
    from arrowmind.models.tower_spec import SenseSpec, Tower, TowerKind
    from arrowmind.observe import Progress
    from arrowmind.quantize import HasValues

__all__ = ["SenseEmbedder", "SenseMoments", "sense_statistics"]

_OBSERVED = 24
# Rows recorded of one run at most: runs have about 2048, and one sequence more.
_CAPACITY = 4096


def _recording(folder: ModelFolder, texts: Sequence[str], most: int = 600) -> SenseRecording:
    listed = check_texts(texts)
    if not listed:
        raise InvalidArgumentError("no texts to calibrate on; give at least one")
    senses = Senses(folder.senses, folder.weights, _native.ThreadPool(1), Options(False))
    tokenizer = TextTokenizer(folder.tokenizer_path, folder.max_tokens)
    return SenseRecording(senses, tokenizer, Samples.of(listed), most)


def sense_statistics(folder: ModelFolder, texts: Sequence[str]) -> list[InputStatistics]:
    """What enters each matrix over samples, in the order of the forward.

    Sums run on one thread, so that equal samples give equal statistics.
    """
    recording = _recording(folder, texts, _OBSERVED)
    sums: dict[tuple[str, ...], NDArray[np.float64]] = {}

    def observe(names: tuple[str, ...], columns: int) -> NDArray[np.float64]:
        return sums.setdefault(names, np.zeros((2, columns)))

    every = {block for stage in recording.stages for block in range(stage.first, stage.first + stage.blocks)}
    threads = _native.ThreadPool(1)
    recording.run(folder.weights, threads, every, Options(False, observe), lambda: None)
    # Squares weigh the columns of a matrix against each other: how many rows there were is of no account.
    return [InputStatistics(names, largest, squares) for names, (largest, squares) in sums.items()]


class SenseMoments:
    """Runs a model of several senses over samples, as often as asked, with some of its tensors replaced."""

    is_decoder = False

    def __init__(self, folder: ModelFolder, texts: Sequence[str], threads: int | None = None) -> None:
        """Reads the samples that `texts` stand for.

        Raises:
            InvalidArgumentError: there are none.
            WeightError: the model cannot be compiled.
        """
        self._folder = folder
        self._tokenizer = TextTokenizer(folder.tokenizer_path, folder.max_tokens)
        self._recording = _recording(folder, texts)
        self._threads = _native.ThreadPool(threads or _native.available_cpus())
        self.groups = self._find_groups()

    @property
    def model(self) -> SenseSpec:
        """What the model computes."""
        return self._folder.senses

    def tokenise(self, texts: list[str]) -> list[list[int]]:
        """Token ids of texts, special tokens included, cut at what the model reads."""
        return self._tokenizer.encode(texts)

    def moments(
        self,
        groups: Sequence[InputGroup],
        replaced: Mapping[str, HasValues | NDArray[np.float32]],
        progress: Progress = no_progress,
    ) -> list[NDArray[np.float64]]:
        """Means of x x^T over all rows, [inputs, inputs] for each group."""
        records = {group.names: _record(group.inputs) for group in groups}
        sums = {group.names: np.zeros((group.inputs, group.inputs)) for group in groups}
        counts = dict.fromkeys(sums, 0)
        runs = 0

        def take() -> None:
            nonlocal runs
            runs += 1
            progress(runs, runs + 1, "calibrating")
            for names, (rows, count) in records.items():
                seen = rows[: int(count[0])]
                sums[names] += seen.T @ seen
                counts[names] += len(seen)
                count[0] = 0

        options = Options(False, record=lambda names, _: records.get(names))
        weights = Overlay(self._folder.weights, replaced)
        self._recording.run(weights, self._threads, {group.block for group in groups}, options, take)
        progress(runs, runs, "calibrating")
        return [sums[group.names] / max(1, counts[group.names]) for group in groups]

    def embeddings(self, replaced: Mapping[str, HasValues | NDArray[np.float32]]) -> NDArray[np.float32]:
        """What each tower makes of part of the samples, the same each time: rows of length 1."""
        return self._recording.vectors(Overlay(self._folder.weights, replaced), self._threads)

    def _find_groups(self) -> list[InputGroup]:
        found: list[InputGroup] = []
        for stage in self._recording.stages:
            names = _block_numbers(stage.tower)
            number = 0  # what stands before the blocks goes with the first, what stands behind with the last

            def note(group: tuple[str, ...], inputs: int) -> None:
                nonlocal number
                number = names.get(group[0], number)  # noqa: B023  called within this turn of the loop
                found.append(InputGroup(group, inputs, stage.first + number))  # noqa: B023

            self._recording.plan(stage, self._folder.weights, Options(False, record=note))
        return found


def _block_numbers(tower: Tower) -> dict[str, int]:
    """The block of the first matrix of each group over one input, by its name."""
    return {
        layer.weight: number
        for number, block in enumerate(tower.blocks)
        for layer in (
            block.attention.query,
            block.attention.output,
            *((block.cross.query, block.cross.output) if block.cross is not None else ()),
            block.feed_forward.up,
            block.feed_forward.down,
        )
    }


def _record(inputs: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    return np.empty((_CAPACITY, inputs), dtype=np.float32), np.zeros(1, dtype=np.int64)


class SenseEmbedder:
    """Embeds what texts stand for, one sense of the model after the other, as the precision check asks."""

    def __init__(self, engine: ArrowEngine) -> None:
        """Looks at the towers that the model of `engine` has."""
        self._engine = engine
        model = engine.perception.model
        self._kinds = [tower.kind for tower in model.towers]

    def __call__(self, texts: list[str]) -> NDArray[np.float32]:
        """A row of length 1 for each text, float32 [texts, columns]."""
        return np.stack([self._row(text, self.kind(place, text)) for place, text in enumerate(texts)])

    def kind(self, place: int, text: str) -> TowerKind:
        """The tower that the text at `place` goes through."""
        if text.startswith(("image:", "audio:")):
            return "image" if text.startswith("image:") else "sound"
        return self._kinds[place % len(self._kinds)]

    def describe(self, place: int, text: str) -> str:
        """For people: which sample that was."""
        kind = self.kind(place, text)
        return (
            text if kind == "text" or text.startswith(("image:", "audio:")) else f"{kind} drawn from: {text}"
        )

    def _row(self, text: str, kind: TowerKind) -> NDArray[np.float32]:
        engine, samples = self._engine, Samples.of([text])
        if kind == "text":
            rows = engine.encode(text)
        elif kind == "image":
            rows = engine.encode_image(samples.image(text))
        elif kind == "sound":
            rows = engine.encode_audio(samples.sound(text))
        else:
            rows = engine.transcriber.states(samples.sound(text), engine.tokenise(text)[: engine.max_tokens])
        row = rows.mean(axis=0)
        unit: NDArray[np.float32] = row / max(float(np.linalg.norm(row)), 1e-12)
        return unit
