"""Compiles an encoder and its weights into a native plan: a flat list of operators over buffers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arrowmind import _native
from arrowmind.engine.layers import LayerBuilder, Options

if TYPE_CHECKING:
    from arrowmind.engine.layers import Observe, Record
    from arrowmind.models.spec import Attention, Block, Embedding, FeedForward, ModelSpec, Norm
    from arrowmind.weights import WeightSource

__all__ = ["compile_plan"]


def compile_plan(
    model: ModelSpec,
    weights: WeightSource,
    max_tokens: int,
    *,
    quantise: bool = True,
    observe: Observe | None = None,
    record: Record | None = None,
) -> _native.Plan:
    """The plan of `model` over `weights`.

    Reads the matrices the forward multiplies by, and checks them; tables that are only gathered from stay
    untouched.

    Args:
        model: What to compute.
        weights: The tensors it names.
        max_tokens: Longest input.
        quantise: See `Options`, like the others.
        observe: Statistics of what enters the matrices.
        record: What enters them.

    Raises:
        WeightError: A tensor is missing or has another shape than the model needs.
    """
    return _Compiler(model, weights, max_tokens, Options(quantise, observe, record)).compile()


class _Compiler:
    """Holds what every step needs: the plan, its layers and the residual stream."""

    def __init__(self, model: ModelSpec, weights: WeightSource, max_tokens: int, options: Options) -> None:
        self._max_tokens = max_tokens
        self._model = model
        self._plan = _native.Plan(
            vocabulary=model.vocabulary, max_length=max_tokens, output_columns=model.hidden
        )
        self._layers = LayerBuilder(self._plan, weights, options)
        self._hidden = self._plan.buffer("fp32", model.hidden)

    def compile(self) -> _native.Plan:
        self._embedding(self._model.embedding)
        for block in self._model.blocks:
            self._block(block)
        self._plan.pool(self._hidden, kind=self._model.pooling.kind)
        self._plan.finish()
        return self._plan

    def _embedding(self, embedding: Embedding) -> None:
        columns = self._model.hidden
        self._plan.embed(
            self._hidden,
            word=self._layers.table(embedding.word, self._model.vocabulary, columns),
            position=self._layers.table(embedding.position, self._max_tokens, columns),
            token_type=self._layers.table(embedding.token_type, 1, columns) if embedding.token_type else None,
        )
        self._norm(embedding.norm)

    def _block(self, block: Block) -> None:
        self._attention(block.attention)
        self._norm(block.attention_norm)
        self._feed_forward(block.feed_forward)
        self._norm(block.feed_forward_norm)

    def _attention(self, attention: Attention) -> None:
        hidden = self._model.hidden
        joined = self._plan.buffer("fp32", 3 * hidden)
        context = self._plan.buffer("fp32", hidden)
        self._layers.linear((attention.query, attention.key, attention.value), self._hidden, joined)
        self._plan.attention(joined, context, heads=attention.heads)
        self._layers.linear((attention.output,), context, self._hidden, residual=self._hidden)

    def _feed_forward(self, feed_forward: FeedForward) -> None:
        width = self._layers.tensor(feed_forward.up.weight).spec.shape[0]
        inner = self._plan.buffer("fp32", width)
        self._layers.linear((feed_forward.up,), self._hidden, inner, gelu=feed_forward.activation == "gelu")
        self._layers.linear((feed_forward.down,), inner, self._hidden, residual=self._hidden)

    def _norm(self, norm: Norm) -> None:
        self._plan.layer_norm(
            self._hidden,
            self._hidden,
            gamma=self._layers.vector(norm.weight, self._model.hidden),
            beta=self._layers.vector(norm.bias, self._model.hidden),
            epsilon=norm.epsilon,
        )
