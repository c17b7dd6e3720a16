"""What every contender is given: many real sentences, a short one, a long one, and optionally STS-B."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from arrowmind.bench.contenders.base import Tokens
from arrowmind.bench.corpus import benchmark_sentences, sentence_of_tokens
from arrowmind.bench.statistics import cosines, spearman
from arrowmind.errors import InvalidArgumentError

if TYPE_CHECKING:
    from pathlib import Path

    from arrowmind.bench.contenders.base import Vectors

__all__ = ["LONG_TOKENS", "SHORT_TOKENS", "SimilarityTask", "Workload", "make_workload", "read_similarity"]

SHORT_TOKENS, LONG_TOKENS = 16, 128
_TUNING_SENTENCES = 128


@dataclass(frozen=True)
class SimilarityTask:
    """Pairs of sentences with a human score each."""

    name: str
    left: list[str]
    right: list[str]
    scores: list[float]

    def correlation(self, vectors: Vectors) -> float:
        """Spearman's rank correlation of cosines and scores; `vectors` of all left, then of all right."""
        half = len(self.left)
        return spearman([float(c) for c in cosines(vectors[:half], vectors[half:])], self.scores)


@dataclass(frozen=True)
class Workload:
    """The texts by name, as workers read them, and their number of tokens."""

    texts: dict[str, list[str]]
    tokens: int
    similarity: SimilarityTask | None = None
    names: tuple[str, ...] = field(default=("all", "tuning", "short", "long"))

    def write(self, path: Path) -> Path:
        """Write the texts as JSON for the workers."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.texts), encoding="utf-8")
        return path


def make_workload(source: Path, count: int, similarity: Path | None = None) -> Workload:
    """Choose the sentences by the tokenizer of the model folder `source`."""
    tokens = Tokens(source, limit=512)
    sentences = benchmark_sentences(count, tokens.lengths)
    texts = {
        "all": sentences,
        "tuning": sentences[:: max(1, len(sentences) // _TUNING_SENTENCES)],
        "short": [sentence_of_tokens(SHORT_TOKENS, tokens.lengths)],
        "long": [sentence_of_tokens(LONG_TOKENS, tokens.lengths)],
    }
    task = None if similarity is None else read_similarity(similarity)
    if task is not None:
        texts["similarity"] = task.left + task.right
    return Workload(texts, int(np.sum(tokens.lengths(sentences))), task)


def read_similarity(path: Path) -> SimilarityTask:
    """Read a CSV file without a header: sentence, sentence, score.

    Raises:
        InvalidArgumentError: It cannot be read, or a line is something else.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))
    except OSError as error:
        raise InvalidArgumentError(f"{path} cannot be read ({error.strerror}); give a CSV file") from error
    try:
        return SimilarityTask(
            path.stem, [row[0] for row in rows], [row[1] for row in rows], [float(row[2]) for row in rows]
        )
    except (IndexError, ValueError) as error:
        raise InvalidArgumentError(
            f"{path}: {error}; needs lines of sentence, sentence, score without a header"
        ) from error
