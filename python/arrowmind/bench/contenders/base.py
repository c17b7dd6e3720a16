"""What a contender is given and what it must be able to do; batching shared by those that pad."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Job:
    """The task of one contender: where its files are and how many threads it may use."""

    name: str
    source: Path  # the Hugging Face folder: safetensors, config.json, tokenizer.json
    cache: Path  # a folder of this contender's own, kept between runs
    threads: int
    model: Path | None = None  # a model folder of ours that is there already; nothing is made then


@dataclass(frozen=True)
class Setting:
    """How a contender works through many sentences; the best of several is chosen before measuring."""

    batch: int = 0  # sentences per batch; 0: the contender decides
    callers: int = 1  # Python threads that submit batches, each with threads / callers inner threads


class Session(Protocol):
    """A loaded contender."""

    def settings(self) -> Sequence[Setting]:
        """Return the settings worth trying for throughput."""

    def use(self, setting: Setting) -> None:
        """Work with this setting from now on."""

    def encode(self, texts: list[str]) -> Vectors:
        """Return unit vectors, float32 [n, d]."""


@dataclass(frozen=True)
class Batch:
    """Padded token ids of sentences of similar length."""

    rows: npt.NDArray[np.int64]  # [b], positions in the input
    ids: npt.NDArray[np.int64]  # [b, t]
    mask: npt.NDArray[np.int64]  # [b, t], 1 for a token and 0 for padding


class Tokens:
    """The tokenizer of the model folder, with as many threads as the process allows (`RAYON_NUM_THREADS`)."""

    def __init__(self, source: Path, limit: int = 256) -> None:
        from tokenizers import Tokenizer  # noqa: PLC0415

        self._tokenizer = Tokenizer.from_file(str(source / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(limit)

    def lengths(self, texts: list[str]) -> list[int]:
        """Return the number of tokens of each text."""
        return [len(encoding.ids) for encoding in self._tokenizer.encode_batch(texts)]

    def batches(self, texts: list[str], size: int) -> list[Batch]:
        """Sort by length, cut into batches and pad each to its longest; longest batches first."""
        tokens = [encoding.ids for encoding in self._tokenizer.encode_batch(texts)]
        order = sorted(range(len(tokens)), key=lambda row: -len(tokens[row]))
        return [_padded(tokens, order[start : start + size]) for start in range(0, len(order), size)]


def _padded(tokens: list[list[int]], rows: list[int]) -> Batch:
    width = max(len(tokens[row]) for row in rows)
    ids = np.zeros((len(rows), width), np.int64)
    mask = np.zeros((len(rows), width), np.int64)
    for line, row in enumerate(rows):
        ids[line, : len(tokens[row])] = tokens[row]
        mask[line, : len(tokens[row])] = 1
    return Batch(np.array(rows), ids, mask)


def run_batches(
    batches: list[Batch], forward: Callable[[Batch], Vectors], callers: int, count: int
) -> Vectors:
    """Send every batch through `forward` from this many threads; the vectors come in the input's order."""
    if callers == 1:
        results = [forward(batch) for batch in batches]
    else:
        with ThreadPoolExecutor(callers) as pool:
            results = list(pool.map(forward, batches))
    vectors = np.empty((count, results[0].shape[1]), np.float32)
    for batch, result in zip(batches, results, strict=True):
        vectors[batch.rows] = result
    return vectors


def padding_settings(threads: int) -> list[Setting]:
    """Return batch sizes and caller counts worth trying for a contender that pads its batches."""
    callers = (1, threads) if threads > 1 else (1,)
    return [Setting(batch, n) for n in callers for batch in (1, 2, 4, 8, 16, 32)]
