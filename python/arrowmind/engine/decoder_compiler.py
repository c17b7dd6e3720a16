"""Compiles a decoder and its weights into native plans: token ids to hidden states, and those to logits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from arrowmind import _native
from arrowmind.engine.expert_compiler import Following, add_routed
from arrowmind.engine.latent_compiler import add_latent
from arrowmind.engine.layers import LayerBuilder, Options
from arrowmind.models.decoder_spec import LatentAttention, RoutedFeedForward

if TYPE_CHECKING:
    from arrowmind.engine.residence import Residence
    from arrowmind.models.decoder_spec import (
        DecoderAttention,
        DecoderBlock,
        DecoderSpec,
        RmsNorm,
        Rope,
    )
    from arrowmind.models.spec import Linear
    from arrowmind.weights import WeightSource

__all__ = ["Part", "compile_body", "compile_head"]

Rows = Literal["all", "last"]


def compile_body(
    model: DecoderSpec,
    weights: WeightSource,
    max_tokens: int,
    options: Options | None = None,
    *,
    rows: Rows = "all",
    residence: Residence | None = None,
    part: Part | None = None,
) -> _native.Plan:
    """The plan from token ids to what the last block leaves, before the norm of the head.

    Args:
        model: What to compute.
        weights: The tensors it names.
        max_tokens: Longest input.
        options: See there; None takes the defaults.
        rows: `all` gives a row per token, `last` one per sequence.
        residence: says which matrices come and go; None keeps all where `weights` has them.
        part: of the body; None is all of it.

    Raises:
        WeightError: A tensor is missing or has another shape than the model needs.
    """
    plan = _native.Plan(vocabulary=model.vocabulary, max_length=max_tokens, output_columns=model.hidden)
    body = _Body(plan, model, weights, options or Options(), residence)
    return body.compile(rows, part or Part(range(len(model.blocks))))


def compile_head(model: DecoderSpec, weights: WeightSource) -> _native.Plan:
    """The plan from rows of hidden states to rows of logits.

    A head that is tied to the table of embeddings is a packed copy of it.

    Raises:
        WeightError: A tensor is missing or has another shape than the model needs.
    """
    plan = _native.Plan(model.vocabulary, 1, model.vocabulary)
    layers = LayerBuilder(plan, weights, Options())
    states, logits = plan.buffer("fp32", model.hidden), plan.buffer("fp32", model.vocabulary)
    normed = plan.buffer("fp32", model.hidden)
    plan.source(states)
    layers.norm(model.head.norm, states, normed)
    layers.head(model.head.weight, normed, logits)
    if model.head.cap is not None:
        plan.activate(logits, logits, "cap", model.head.cap)
    plan.result(logits)
    plan.finish()
    return plan


class Part(NamedTuple):
    """Blocks of a body that follow each other; in a cache of their own the first is layer 0.

    Attributes:
        blocks: by number; none: the table of embeddings alone.
        reads_states: what is before lies elsewhere: the plan reads rows of hidden states, not token ids.
        passes: the blocks may pass through a device one by one.
    """

    blocks: range
    reads_states: bool = False
    passes: bool = False


class _Body:
    """Holds what every block needs: the plan, its layers, the residual stream and the rotations."""

    def __init__(
        self,
        plan: _native.Plan,
        model: DecoderSpec,
        weights: WeightSource,
        options: Options,
        residence: Residence | None,
    ) -> None:
        self._plan, self._model, self._residence = plan, model, residence
        self._layers = LayerBuilder(plan, weights, options)
        self._progress = options.progress
        self._stream = plan.buffer("fp32", model.hidden)
        self._normed = plan.buffer("fp32", model.hidden)
        self._turns: dict[Rope, int] = {}
        self._first = 0

    def compile(self, rows: Rows, part: Part) -> _native.Plan:
        self._first = part.blocks.start
        if part.reads_states:
            states = self._plan.buffer("fp32", self._model.hidden)
            self._plan.source(states)
            self._plan.copy(states, self._stream, self._model.hidden)  # the caller's rows are not written
        else:
            self._embedding()
        for layer in part.blocks:
            if part.passes:
                self._plan.border()
            if self._residence is not None:
                self._residence.enter(self._plan, layer)
            self._block(self._model.blocks[layer], layer)
            self._progress(layer + 1, len(self._model.blocks), "layers")
        if self._residence is not None:
            self._residence.leave(self._plan, part.blocks.stop - 1)
        if rows == "all":
            self._plan.result(self._stream)
        else:
            self._plan.pool(self._stream, kind="last")
        self._plan.finish()
        return self._plan

    def _embedding(self) -> None:
        model = self._model
        table = self._layers.table(model.embedding, model.vocabulary, model.hidden)
        self._plan.embed(self._stream, word=table)
        if model.embedding_scale != 1.0:
            scale = np.full(model.hidden, model.embedding_scale, dtype=np.float32)
            self._plan.multiply(self._stream, self._stream, scale)

    def _block(self, block: DecoderBlock, layer: int) -> None:
        self._layers.norm(block.attention_norm, self._stream, self._normed)
        context = self._context(block.attention, layer)
        self._add(block.attention.output, context, block.attention_output_norm)
        self._layers.norm(block.feed_forward_norm, self._stream, self._normed)
        if isinstance(block.feed_forward, RoutedFeedForward):
            moving = None if self._residence is None else self._residence.experts(layer)
            following = self._following(layer) if moving else None
            add_routed(self._layers, block.feed_forward, self._normed, self._stream, moving, following)
            return
        inner = self._layers.gated(block.feed_forward, self._normed)
        self._add(block.feed_forward.down, inner, block.feed_forward_output_norm)

    def _following(self, layer: int) -> Following | None:
        """The next block with experts, where these are guessed."""
        if self._residence is None or not self._residence.guesses(layer):
            return None
        for block in self._model.blocks[layer + 1 :]:
            if isinstance(block.feed_forward, RoutedFeedForward):
                return Following(block.feed_forward_norm, block.feed_forward)
        return None

    def _context(self, attention: DecoderAttention | LatentAttention, layer: int) -> int:
        cached = layer - self._first
        if isinstance(attention, LatentAttention):
            return add_latent(self._layers, attention, self._normed, self._turns_of(attention.rope), cached)
        return self._attention(attention, cached)

    def _attention(self, attention: DecoderAttention, layer: int) -> int:
        """The buffer with the context of every head; `layer` is its place in a cache."""
        heads, keys, size = attention.heads, attention.key_heads, attention.head_dim
        joined = self._plan.buffer("fp32", (heads + 2 * keys) * size)
        context = self._plan.buffer("fp32", heads * size)
        self._layers.linear((attention.query, attention.key, attention.value), self._normed, joined)
        for norm, first, count in (
            (attention.query_norm, 0, heads),
            (attention.key_norm, heads * size, keys),
        ):
            if norm is not None:
                gamma = self._layers.gamma(norm, size)
                self._plan.rms_norm(joined, joined, gamma, norm.epsilon, first=first, pieces=count)
        # Heads of queries and keys lie side by side: one rotation turns both.
        self._plan.rope(joined, self._turns_of(attention.rope), first=0, heads=heads + keys, head_dim=size)
        self._plan.attention(
            joined,
            context,
            heads=heads,
            key_heads=keys,
            causal=True,
            window=attention.window or 0,
            scale=attention.scale,
            cap=attention.cap or 0.0,
            layer=layer,
        )
        return context

    def _turns_of(self, rope: Rope) -> int:
        if rope not in self._turns:
            turns = self._plan.buffer("fp32", 2 * len(rope.frequencies))
            self._plan.turns(turns, np.asarray(rope.frequencies, dtype=np.float32), rope.factor)
            self._turns[rope] = turns
        return self._turns[rope]

    def _add(self, layer: Linear, source: int, norm: RmsNorm | None) -> None:
        """Adds what `layer` makes of `source` to the residual stream, normed where there is a norm."""
        if norm is None:
            self._layers.linear((layer,), source, self._stream, residual=self._stream)
            return
        added = self._plan.buffer("fp32", self._model.hidden)
        self._layers.linear((layer,), source, added)
        self._layers.norm(norm, added, added)
        self._plan.add(added, self._stream)
