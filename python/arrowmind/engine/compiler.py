"""Compiles a model and its weights into a native plan: a flat list of operators over buffers."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from arrowmind import _native
from arrowmind.errors import WeightError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from arrowmind.models.spec import Attention, Block, Embedding, FeedForward, Linear, ModelSpec, Norm
    from arrowmind.weights import Tensor, WeightSource

    Observe = Callable[[tuple[str, ...], int], NDArray[np.float64]]
    Record = Callable[[tuple[str, ...], int], tuple[NDArray[np.float32], NDArray[np.int64]] | None]

__all__ = ["compile_plan"]


class _Form(NamedTuple):
    """Type of the activations a matrix meets, and k per scale of its own where they have theirs in blocks."""

    type: str
    group: int = 0


# Layers over one input share one form of it: the widest that any of them asks for.
_WIDTH = {"int8": 0, "int16": 1, "fp32": 2}


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
        quantise: False keeps every activation in float32, whatever the weight file says.
        observe: Called for each group of matrices over one input, with their names and the number of inputs;
            the zeros [2, inputs] it returns gather each input's largest magnitude and sum of squares.
        record: Called like `observe`; what it returns, rows [capacity, inputs] and a count [1], takes the
            inputs themselves. None leaves a group alone.

    Raises:
        WeightError: A tensor is missing or has another shape than the model needs.
    """
    compiler = _Compiler(model, weights, max_tokens, quantise=quantise, observe=observe, record=record)
    return compiler.compile()


class _Compiler:
    """Holds what every step needs: the plan, the weights and the residual stream."""

    def __init__(
        self,
        model: ModelSpec,
        weights: WeightSource,
        max_tokens: int,
        *,
        quantise: bool,
        observe: Observe | None,
        record: Record | None,
    ) -> None:
        self._quantise = quantise
        self._observe = observe
        self._record = record
        self._max_tokens = max_tokens
        self._model = model
        self._weights = weights
        self._plan = _native.Plan(
            vocabulary=model.vocabulary, max_length=max_tokens, output_columns=model.hidden
        )
        self._hidden = self._plan.buffer("fp32", model.hidden)
        self._code_buffers: dict[tuple[_Form, int], int] = {}

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
            word=self._table(embedding.word, self._model.vocabulary, columns),
            position=self._table(embedding.position, self._max_tokens, columns),
            token_type=self._table(embedding.token_type, 1, columns) if embedding.token_type else None,
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
        self._linear((attention.query, attention.key, attention.value), self._hidden, joined)
        self._plan.attention(joined, context, heads=attention.heads)
        self._linear((attention.output,), context, self._hidden, residual=self._hidden)

    def _feed_forward(self, feed_forward: FeedForward) -> None:
        width = self._tensor(feed_forward.up.weight).spec.shape[0]
        inner = self._plan.buffer("fp32", width)
        self._linear((feed_forward.up,), self._hidden, inner, gelu=feed_forward.activation == "gelu")
        self._linear((feed_forward.down,), inner, self._hidden, residual=self._hidden)

    def _norm(self, norm: Norm) -> None:
        self._plan.layer_norm(
            self._hidden,
            self._hidden,
            gamma=self._vector(norm.weight, self._model.hidden),
            beta=self._vector(norm.bias, self._model.hidden),
            epsilon=norm.epsilon,
        )

    def _linear(
        self, layers: tuple[Linear, ...], source: int, output: int, *, residual: int = -1, gelu: bool = False
    ) -> None:
        """Layers over one input, their outputs side by side."""
        tensors = [self._tensor(layer.weight) for layer in layers]
        self._watch(tuple(layer.weight for layer in layers), source)
        scale = self._input_scale(layers)
        pairs = zip(layers, tensors, strict=True)
        forms = [(form, list(group)) for form, group in groupby(pairs, _forms(tensors))]
        column = 0
        for form, group in forms:
            self._plan.linear(
                [self._layer(layer, tensor) for layer, tensor in group],
                self._activations(source, form, scale),
                output,
                residual=residual,
                gelu=gelu,
                column=column if len(forms) > 1 else -1,
            )
            column += sum(tensor.spec.shape[0] for _, tensor in group)

    def _watch(self, names: tuple[str, ...], source: int) -> None:
        """Lets whoever asked for it see what enters the matrices called `names`."""
        columns = self._plan.columns(source)
        if self._observe is not None:
            self._plan.observe(source, self._observe(names, columns))
        place = None if self._record is None else self._record(names, columns)
        if place is not None:
            self._plan.record(source, *place)

    def _input_scale(self, layers: tuple[Linear, ...]) -> NDArray[np.float32] | None:
        """What the input that `layers` share is multiplied by."""
        first, *others = (self._weights.input_scale(layer.weight) for layer in layers)
        for layer, other in zip(layers[1:], others, strict=True):
            if not _equal(first, other):
                raise WeightError(
                    f"{layers[0].weight} and {layer.weight} read one input but scale it differently; "
                    "quantise the model again"
                )
        return first

    def _activations(self, source: int, form: _Form, scale: NDArray[np.float32] | None) -> int:
        """The buffer a matrix reads: `source` itself, scaled, or its codes."""
        columns = self._plan.columns(source)
        if form.type == "fp32" or not self._quantise:
            if scale is None:
                return source
            scaled = self._plan.buffer("fp32", columns)
            self._plan.multiply(source, scaled, scale)
            return scaled
        codes = self._code_buffers.setdefault((form, columns), -1)
        if codes < 0:
            codes = self._plan.buffer(form.type, columns, group=form.group)
            self._code_buffers[form, columns] = codes
        self._plan.quantise(source, codes, scale)
        return codes

    def _layer(self, layer: Linear, tensor: Tensor) -> dict[str, object]:
        tensor.verify()
        n_out = tensor.spec.shape[0]
        bias = self._vector(layer.bias, n_out) if layer.bias else None
        return {**_description(tensor), "sums": tensor.sums, "bias": bias}

    def _table(self, name: str, rows: int, columns: int) -> dict[str, object]:
        tensor = self._tensor(name)
        shape = tensor.spec.shape
        if len(shape) != 2 or shape[0] < rows or shape[1] != columns:
            raise WeightError(
                f"{name} has shape {list(shape)}; the configuration needs at least [{rows}, {columns}]"
            )
        return _description(tensor)

    def _vector(self, name: str, size: int) -> NDArray[np.float32]:
        tensor = self._tensor(name)
        if tensor.spec.shape != (size,):
            raise WeightError(f"{name} has shape {list(tensor.spec.shape)}; the configuration needs [{size}]")
        tensor.verify()
        return tensor.to_float32()

    def _tensor(self, name: str) -> Tensor:
        return self._weights.tensor(name)


def _forms(tensors: list[Tensor]) -> Callable[[tuple[Linear, Tensor]], _Form]:
    """How each of several layers over one input is met: those on no grid by the widest that any asks for."""
    plain = [tensor.spec.activation for tensor in tensors if tensor.spec.grid is None]
    widest = max(plain, key=_WIDTH.__getitem__, default="fp32")

    def form(member: tuple[Linear, Tensor]) -> _Form:
        spec = member[1].spec
        if spec.grid is None:
            return _Form(widest)
        return _Form("int8-block", spec.group_size) if spec.activation == "int8" else _Form("fp32")

    return form


def _description(tensor: Tensor) -> dict[str, object]:
    """What the native side is told of a tensor."""
    spec = tensor.spec
    described: dict[str, object] = {
        "type": spec.quant_type,
        "shape": spec.shape,
        "codes": tensor.codes,
        "scales": tensor.scales,
        "zero_points": tensor.zero_points,
    }
    if spec.grid is not None:
        described |= {
            "group": spec.group_size,
            "scale_type": spec.scale_type,
            "outer": tensor.outer_scales,
        }
    return described


def _equal(one: NDArray[np.float32] | None, other: NDArray[np.float32] | None) -> bool:
    if one is None or other is None:
        return one is other
    return np.array_equal(one, other)
