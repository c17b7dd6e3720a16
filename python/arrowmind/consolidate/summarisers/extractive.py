"""A summary without a language model: the sentences nearest to the centre that do not repeat each other.

Maximal marginal relevance: the next sentence has the largest ``0.7 * cosine(sentence, centre) - 0.3 * largest
cosine(sentence, chosen one)``. Every sentence is a quote of its memory. The same memories give the same
summary.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from arrowmind.consolidate.records import DerivedMemory, Quote, shared_category
from arrowmind.consolidate.sentences import sentences
from arrowmind.consolidate.summarising import Summary

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from arrowmind.consolidate.records import SourceMemory
    from arrowmind.consolidate.summarising import Embed, SummariserSetup, Task

    FloatArray = npt.NDArray[np.float32]

__all__ = ["Extract", "open_summariser"]

_RELEVANCE = 0.7
_MOST_SENTENCES = 512
_MOST_OF_ONE = 64
_MOST_CHOSEN = 32


@dataclass(frozen=True)
class _Sentence:
    source: SourceMemory
    text: str
    place: int


def open_summariser(setup: SummariserSetup) -> Extract:
    """Needs no provider."""
    return Extract(setup.embed, setup.share)


class Extract:
    """Chooses sentences."""

    name = "extractive"
    needs_known = False

    def __init__(self, embed: Embed, share: float) -> None:
        self._embed = embed
        self._share = share

    def summarise(self, task: Task) -> Summary:
        """As `Summariser.summarise`."""
        found = _all_sentences(task.sources)
        if not found:
            return Summary(())
        vectors = self._vectors(found)
        allowed = self._share * sum(len(sentence.text) for sentence in found)
        chosen = _choose(vectors, [len(sentence.text) for sentence in found], allowed)
        picked = [found[i] for i in sorted(chosen)]
        centre = vectors[sorted(chosen)].mean(axis=0)
        length = float(np.linalg.norm(centre))
        memory = DerivedMemory(
            text="\n".join(sentence.text for sentence in picked),
            quotes=tuple(Quote(sentence.source.id, sentence.text) for sentence in picked),
            vector=(centre / length).astype(np.float32) if length > 0 else None,
            valid_from=min(sentence.source.timestamp for sentence in picked),
            namespace=task.sources[0].namespace,
            category=shared_category(task.sources),
            made_by=self.name,
        )
        return Summary((memory,))

    def _vectors(self, found: Sequence[_Sentence]) -> FloatArray:
        """One each; without an encoder those of the memories stand for their sentences."""
        vectors = self._embed([sentence.text for sentence in found])
        if vectors is not None:
            return vectors
        known = [sentence.source.vector for sentence in found]
        width = max((len(vector) for vector in known if vector is not None), default=1)
        empty = np.zeros(width, np.float32)
        return np.stack([empty if vector is None else vector for vector in known])


def _all_sentences(sources: Sequence[SourceMemory]) -> list[_Sentence]:
    found: list[_Sentence] = []
    for source in sources:
        for text in sentences(source.text, _MOST_OF_ONE):
            found.append(_Sentence(source, text, len(found)))
    return found[:_MOST_SENTENCES]


def _choose(vectors: FloatArray, lengths: Sequence[int], allowed: float) -> list[int]:
    """Places of sentences, best first, until they have the allowed signs; one at least."""
    # In float64 and rounded, so that ties are ties on every machine; the first of equals wins.
    wide = vectors.astype(np.float64)
    centre = wide.mean(axis=0)
    length = np.linalg.norm(centre)
    relevance = wide @ (centre / length if length > 0 else centre)
    repetition = np.zeros(len(wide))
    chosen: list[int] = []
    used = 0
    while len(chosen) < min(len(wide), _MOST_CHOSEN):
        scores = np.round(_RELEVANCE * relevance - (1 - _RELEVANCE) * repetition, 9)
        scores[chosen] = -np.inf
        best = int(np.argmax(scores))
        if chosen and used + lengths[best] > allowed:
            break
        chosen.append(best)
        used += lengths[best]
        repetition = np.maximum(repetition, wide @ wide[best])
    return chosen
