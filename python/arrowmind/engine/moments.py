"""The second moments of what enters a model's matrices, over calibration texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from arrowmind import _native
from arrowmind.engine.batching import pack
from arrowmind.engine.folder import ModelFolder
from arrowmind.engine.inputs import check_texts
from arrowmind.engine.recording import recording_of
from arrowmind.engine.tokenizer import TextTokenizer
from arrowmind.errors import InvalidArgumentError
from arrowmind.observe import no_progress
from arrowmind.quantize import InputGroup, Overlay

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from arrowmind.models.decoder_spec import DecoderSpec
    from arrowmind.models.spec import ModelSpec
    from arrowmind.models.tower_spec import SenseSpec
    from arrowmind.observe import Progress
    from arrowmind.quantize import HasValues

__all__ = ["MomentObserver"]

# Tokens of a run: rows recorded at a time, and summed in float32 before they join the float64 sums.
_RUN_TOKENS = 2048
_EMBEDDED_BATCHES = 2


class MomentObserver:
    """Runs a model over texts, as often as asked, with some of its tensors replaced.

    What a token counts is as the kind of model has it: `arrowmind.engine.recording`.
    """

    def __init__(self, path: Path, texts: Sequence[str], threads: int | None = None) -> None:
        """Opens the model folder at `path` and tokenises `texts`.

        Raises:
            InvalidArgumentError: There are no texts.
            WeightError: The model cannot be opened.
        """
        listed = check_texts(texts)
        if not listed:
            raise InvalidArgumentError("no texts to calibrate on; give at least one")
        self._folder = ModelFolder(path)
        self._tokenizer = TextTokenizer(self._folder.tokenizer_path, self._folder.max_tokens)
        self._recording = recording_of(self._folder)
        self._batches = [pack(part) for part in _parts(self._recording.pieces(self.tokenise(listed)))]
        if not self._batches:
            raise InvalidArgumentError("the texts to calibrate on hold no tokens; give others")
        self._threads = _native.ThreadPool(threads or _native.available_cpus())
        self.tokens = sum(int(batch.offsets[-1]) for batch in self._batches)
        self.groups = self._find_groups()

    @property
    def model(self) -> ModelSpec | DecoderSpec | SenseSpec:
        """What the model computes."""
        return self._folder.spec

    @property
    def is_decoder(self) -> bool:
        """Whether it is a language model."""
        return self._folder.is_decoder

    def tokenise(self, texts: list[str]) -> list[list[int]]:
        """Token ids of texts, special tokens included, cut at what the model reads."""
        return self._tokenizer.encode(texts)

    def moments(
        self,
        groups: Sequence[InputGroup],
        replaced: Mapping[str, HasValues | NDArray[np.float32]],
        progress: Progress = no_progress,
    ) -> list[NDArray[np.float64]]:
        """Weighted means of x x^T over all tokens, [inputs, inputs] for each group.

        Args:
            groups: Of `self.groups`; the forward ends with the last block among them.
            replaced: Tensors that others stand in for, by name.
            progress: Told of batches done.
        """
        capacity = max(_RUN_TOKENS, self._recording.longest)
        records = {group.names: _record(group.inputs, capacity) for group in groups}
        plan = self._recording.compile(
            Overlay(self._folder.weights, replaced),
            blocks=1 + max(group.block for group in groups),
            record=lambda names, _: records.get(names),
        )
        sums = [np.zeros((group.inputs, group.inputs)) for group in groups]
        total = 0.0
        for done, batch in enumerate(self._batches):
            progress(done, len(self._batches), "calibrating")
            weights = self._recording.token_weights(batch)
            total += float((weights.astype(np.float64) ** 2).sum())
            for _, count in records.values():
                count[0] = 0
            # One micro-batch: rows come in the order of tokens, and threads share each operator.
            plan.run(batch.token_ids, batch.offsets, self._threads, normalise=False, micro_tokens=1 << 30)
            for group, moments in zip(groups, sums, strict=True):
                rows = records[group.names][0][: len(weights)]
                rows *= weights[:, None]
                moments += rows.T @ rows
        for moments in sums:
            moments /= total
        progress(len(self._batches), len(self._batches), "calibrating")
        return sums

    def embeddings(self, replaced: Mapping[str, HasValues | NDArray[np.float32]]) -> NDArray[np.float32]:
        """What the model makes of part of the texts, the same each time, with `replaced` tensors.

        Rows of length 1: embeddings of texts, or of a language model the roots of what it foretells.
        """
        # Of each length something: batches are sorted by it.
        chosen = self._batches[:: max(1, len(self._batches) // _EMBEDDED_BATCHES)]
        return self._recording.embeddings(Overlay(self._folder.weights, replaced), chosen, self._threads)

    def _find_groups(self) -> list[InputGroup]:
        blocks = self._recording.blocks()
        groups: list[InputGroup] = []

        def note(names: tuple[str, ...], inputs: int) -> None:
            groups.append(InputGroup(names, inputs, blocks[names[0]]))

        self._recording.compile(self._folder.weights, record=note)
        return groups


def _record(inputs: int, capacity: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    return np.empty((capacity, inputs), dtype=np.float32), np.zeros(1, dtype=np.int64)


def _parts(sequences: list[list[int]]) -> Iterator[list[list[int]]]:
    """The sequences, by length, in parts of at most the tokens of a run."""
    part: list[list[int]] = []
    for sequence in sorted(sequences, key=len):
        if part and sum(map(len, part)) + len(sequence) > _RUN_TOKENS:
            yield part
            part = []
        part.append(sequence)
    if part:
        yield part
