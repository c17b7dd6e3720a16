"""What a model's matrices meet: the statistics of their inputs over calibration texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from arrowmind import _native
from arrowmind.engine.batching import pack, slices
from arrowmind.engine.folder import ModelFolder
from arrowmind.engine.inputs import check_texts
from arrowmind.engine.recording import recording_of
from arrowmind.engine.sense_quantising import sense_statistics
from arrowmind.engine.tokenizer import TextTokenizer
from arrowmind.errors import InvalidArgumentError
from arrowmind.quantize import InputStatistics

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["observe_inputs"]

_SLICE_TEXTS = 512


def observe_inputs(path: Path, texts: Sequence[str]) -> list[InputStatistics]:
    """Runs a model in floating point over `texts` and watches what enters each matrix.

    Args:
        path: A model folder.
        texts: What to run it on; a few dozen varied sentences do.

    Returns:
        One entry for each group of matrices that read the same input, in the order of the forward. Sums run
        on one thread, so that equal texts give equal statistics.

    Raises:
        InvalidArgumentError: There are no texts.
        WeightError: The model cannot be opened.
    """
    listed = check_texts(texts)
    if not listed:
        raise InvalidArgumentError("no texts to calibrate on; give at least one")
    folder = ModelFolder(path)
    if folder.has_senses:
        return sense_statistics(folder, listed)
    groups: dict[tuple[str, ...], NDArray[np.float64]] = {}

    def observe(names: tuple[str, ...], columns: int) -> NDArray[np.float64]:
        return groups.setdefault(names, np.zeros((2, columns)))

    recording = recording_of(folder)
    plan = recording.compile(folder.weights, observe=observe)
    tokenizer = TextTokenizer(folder.tokenizer_path, folder.max_tokens)
    threads, tokens = _native.ThreadPool(1), 0
    for part in slices(listed, _SLICE_TEXTS):
        batch = pack(recording.pieces(tokenizer.encode(listed[part])))
        plan.run(batch.token_ids, batch.offsets, threads, normalise=False)
        tokens += int(batch.offsets[-1])
    return [
        InputStatistics(names, magnitude, squares / max(tokens, 1))
        for names, (magnitude, squares) in groups.items()
    ]
