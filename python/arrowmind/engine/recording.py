"""How a kind of model is run for calibration: which matrices read what, and what counts how much."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from arrowmind.engine.compiler import compile_plan
from arrowmind.engine.decoder_compiler import compile_body, compile_head
from arrowmind.engine.expert_compiler import groups_of_readers
from arrowmind.engine.layers import Options
from arrowmind.models.decoder_spec import LatentAttention, RoutedFeedForward

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from arrowmind import _native
    from arrowmind.engine.batching import PackedBatch
    from arrowmind.engine.folder import ModelFolder
    from arrowmind.engine.layers import Observe, Record
    from arrowmind.models.decoder_spec import DecoderAttention, GatedFeedForward
    from arrowmind.models.spec import Linear
    from arrowmind.weights import WeightSource

__all__ = ["Recording", "recording_of"]

# Tokens of a decoder's sequence; longer texts are cut into pieces.
_PIECE = 512
# Values of a decoder's embeddings at most: tokens times vocabulary.
_VALUES = 1 << 23


class Recording(Protocol):
    """A model folder, as calibration runs it."""

    longest: int

    def compile(
        self,
        weights: WeightSource,
        *,
        blocks: int | None = None,
        observe: Observe | None = None,
        record: Record | None = None,
    ) -> _native.Plan:
        """The plan over `weights`, activations in float32, up to the first `blocks` blocks."""

    def blocks(self) -> dict[str, int]:
        """The block of the first matrix of each group that reads one input, by its name."""

    def pieces(self, sequences: Sequence[list[int]]) -> list[list[int]]:
        """Sequences as the model is given them; none is empty."""

    def token_weights(self, batch: PackedBatch) -> NDArray[np.float32]:
        """The square root of each token's weight: it multiplies both factors of a moment."""

    def embeddings(
        self, weights: WeightSource, batches: Sequence[PackedBatch], threads: _native.ThreadPool
    ) -> NDArray[np.float32]:
        """Rows of length 1 that say what the model makes of `batches`."""


def recording_of(folder: ModelFolder) -> Recording:
    """As fits the model in `folder`."""
    return _DecoderRecording(folder) if folder.is_decoder else _EncoderRecording(folder)


class _EncoderRecording:
    """A token's weight is one by the square root of its text's length: short texts count for more than their
    few tokens, because an embedding averages over the tokens of its own text alone.
    """

    def __init__(self, folder: ModelFolder) -> None:
        self._model, self.longest = folder.model, folder.max_tokens

    def compile(
        self,
        weights: WeightSource,
        *,
        blocks: int | None = None,
        observe: Observe | None = None,
        record: Record | None = None,
    ) -> _native.Plan:
        model = replace(self._model, blocks=self._model.blocks[:blocks])
        return compile_plan(model, weights, self.longest, quantise=False, observe=observe, record=record)

    def blocks(self) -> dict[str, int]:
        return {
            layer.weight: index
            for index, block in enumerate(self._model.blocks)
            for layer in (
                block.attention.query,
                block.attention.output,
                block.feed_forward.up,
                block.feed_forward.down,
            )
        }

    def pieces(self, sequences: Sequence[list[int]]) -> list[list[int]]:
        return list(sequences)

    def token_weights(self, batch: PackedBatch) -> NDArray[np.float32]:
        lengths = np.diff(batch.offsets).astype(np.float32)
        return np.repeat(np.maximum(lengths, 1) ** np.float32(-0.25), np.diff(batch.offsets))

    def embeddings(
        self, weights: WeightSource, batches: Sequence[PackedBatch], threads: _native.ThreadPool
    ) -> NDArray[np.float32]:
        plan = self.compile(weights)
        found = [plan.run(batch.token_ids, batch.offsets, threads, normalise=True) for batch in batches]
        return np.concatenate(found)


class _DecoderRecording:
    """All tokens count alike. What the model makes of a token is the root of what it foretells.

    Such rows have length 1, and one less their cosine is about a quarter of the divergence of both.
    """

    def __init__(self, folder: ModelFolder) -> None:
        self._model = folder.decoder
        self.longest = min(folder.max_tokens, _PIECE)

    def compile(
        self,
        weights: WeightSource,
        *,
        blocks: int | None = None,
        observe: Observe | None = None,
        record: Record | None = None,
    ) -> _native.Plan:
        model = replace(self._model, blocks=self._model.blocks[:blocks])
        return compile_body(model, weights, self.longest, Options(False, observe, record))

    def blocks(self) -> dict[str, int]:
        return {
            layer.weight: index
            for index, block in enumerate(self._model.blocks)
            for layer in (*_read_by(block.attention), *_watched(block.feed_forward))
        }

    def pieces(self, sequences: Sequence[list[int]]) -> list[list[int]]:
        return [
            sequence[begin : begin + self.longest]
            for sequence in sequences
            for begin in range(0, len(sequence), self.longest)
        ]

    def token_weights(self, batch: PackedBatch) -> NDArray[np.float32]:
        return np.ones(int(batch.offsets[-1]), dtype=np.float32)

    def embeddings(
        self, weights: WeightSource, batches: Sequence[PackedBatch], threads: _native.ThreadPool
    ) -> NDArray[np.float32]:
        body, head = self.compile(weights), compile_head(self._model, weights)
        states = [body.run(batch.token_ids, batch.offsets, threads, normalise=False) for batch in batches]
        rows = np.concatenate(states)
        step = max(1, -(-len(rows) * self._model.vocabulary // _VALUES))
        logits = head.run_rows(np.ascontiguousarray(rows[::step]), threads)
        logits -= logits.max(axis=1, keepdims=True)
        roots: NDArray[np.float32] = np.exp(logits * np.float32(0.5))
        roots /= np.linalg.norm(roots, axis=1, keepdims=True)
        return roots


def _read_by(attention: DecoderAttention | LatentAttention) -> tuple[Linear, ...]:
    """The first layer of each group of an attention."""
    if not isinstance(attention, LatentAttention):
        return attention.query, attention.output
    down = () if attention.query_down is None else (attention.query_down,)
    return (*down, attention.query, attention.unfold, attention.output)


def _watched(feed_forward: GatedFeedForward | RoutedFeedForward) -> tuple[Linear, ...]:
    """The first layer of each group of a feed-forward whose inputs are seen."""
    if not isinstance(feed_forward, RoutedFeedForward):
        return feed_forward.gate, feed_forward.down
    shared = feed_forward.shared
    first = tuple(group[0] for group in groups_of_readers(feed_forward))
    return first if shared is None else (shared.gate, shared.down, *first)
