"""Compiles towers of images, sound and text into native plans."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arrowmind import _native
from arrowmind.engine.layers import LayerBuilder, Options
from arrowmind.errors import WeightError
from arrowmind.models.tower_spec import ImageStem, SoundStem, TextStem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from arrowmind.models.spec import Attention, Linear, Norm
    from arrowmind.models.tower_spec import Tower, TowerBlock
    from arrowmind.weights import WeightSource

__all__ = ["compile_memory", "compile_output", "compile_tower"]

FRAMES_OF_A_ROW = 4
"""Frames of a spectrogram that a row of the tower of sound reads: 2 of its own, one on each side."""

_CHANNELS = 3


def compile_tower(tower: Tower, weights: WeightSource, options: Options | None = None) -> _native.Plan:
    """The plan from tokens, patches or frames to the rows or the vector that a tower ends in.

    A tower of images reads, for each, a row of zeros and a row per patch [channels * height * width]; one of
    sound a row [4 * mels] for each two frames, with a frame before them and one behind; the others token ids.

    Raises:
        WeightError: A tensor is missing or has another shape than the model needs.
    """
    return _Tower(tower, weights, options or Options()).compile()


def compile_memory(tower: Tower, weights: WeightSource, options: Options | None = None) -> _native.Plan:
    """The plan from rows of the tower of sound to the keys and values of each block that looks at them.

    Raises:
        WeightError: A tensor is missing or has another shape than the model needs.
    """
    crossing = [block.cross for block in tower.blocks if block.cross is not None]
    plan = _native.Plan(1, 1, 2 * tower.hidden * len(crossing))
    layers = LayerBuilder(plan, weights, options or Options())
    states, made = plan.buffer("fp32", tower.hidden), plan.buffer("fp32", 2 * tower.hidden * len(crossing))
    plan.source(states)
    layers.linear(tuple(one for cross in crossing for one in (cross.key, cross.value)), states, made)
    plan.result(made)
    plan.finish()
    return plan


def compile_output(head: str, tower: Tower, vocabulary: int, weights: WeightSource) -> _native.Plan:
    """The plan from rows of the tower of transcripts to logits.

    Raises:
        WeightError: A tensor is missing or has another shape than the model needs.
    """
    plan = _native.Plan(vocabulary, 1, vocabulary)
    states, logits = plan.buffer("fp32", tower.hidden), plan.buffer("fp32", vocabulary)
    plan.source(states)
    LayerBuilder(plan, weights, Options()).head(head, states, logits)
    plan.result(logits)
    plan.finish()
    return plan


class _Tower:
    """Holds what every step needs: the plan, its layers and the residual stream."""

    def __init__(self, tower: Tower, weights: WeightSource, options: Options) -> None:
        self._tower = tower
        vocabulary = tower.stem.vocabulary if isinstance(tower.stem, TextStem) else 1
        self._plan = _native.Plan(vocabulary, tower.rows, tower.columns)
        self._layers = LayerBuilder(self._plan, weights, options)
        self._stream = self._plan.buffer("fp32", tower.hidden)
        self._normed = self._plan.buffer("fp32", tower.hidden)

    def compile(self) -> _native.Plan:
        tower = self._tower
        self._stem()
        crossings = 0
        for layer, block in enumerate(tower.blocks):
            self._block(block, layer, crossings)
            crossings += block.cross is not None
        self._norm(tower.norm, self._stream, self._normed)
        result = self._normed
        if tower.projection is not None:
            self._check_projection(tower.projection.weight)
            result = self._plan.buffer("fp32", tower.columns)
            self._layers.linear((tower.projection,), self._normed, result)
        if tower.pooling == "rows":
            self._plan.result(result)
        else:
            self._plan.pool(result, kind="cls" if tower.pooling == "first" else "last")
        self._plan.finish()
        return self._plan

    def _check_projection(self, name: str) -> None:
        shape, needed = self._layers.tensor(name).spec.shape, (self._tower.columns, self._tower.hidden)
        if shape != needed:
            raise WeightError(f"{name} has shape {list(shape)}; the configuration needs {list(needed)}")

    def _stem(self) -> None:
        stem = self._tower.stem
        if isinstance(stem, TextStem):
            self._text(stem)
        elif isinstance(stem, ImageStem):
            self._image(stem)
        else:
            self._sound(stem)

    def _text(self, stem: TextStem) -> None:
        hidden = self._tower.hidden
        self._plan.embed(
            self._stream,
            word=self._layers.table(stem.word, stem.vocabulary, hidden),
            position=self._layers.table(stem.position, self._tower.rows, hidden),
        )

    def _image(self, stem: ImageStem) -> None:
        """The first row of an image is zeros, so that with its position added it is the class row."""
        source = self._plan.buffer("fp32", _CHANNELS * stem.patch * stem.patch)
        self._plan.source(source)
        self._layers.linear((stem.patches,), source, self._stream)
        table = self._positions(stem.position).copy()
        table[0] += self._layers.vector(stem.class_row, self._tower.hidden)
        self._plan.positions(self._stream, table)
        self._norm(stem.norm, self._stream, self._stream)

    def _sound(self, stem: SoundStem) -> None:
        """A row holds what the first convolution makes of two frames; the second reads one before, too."""
        plan, hidden, mels = self._plan, self._tower.hidden, stem.mels
        source = plan.buffer("fp32", FRAMES_OF_A_ROW * mels)
        plan.source(source)
        first, second = plan.buffer("fp32", 3 * mels), plan.buffer("fp32", 3 * mels)
        made, unfolded = plan.buffer("fp32", 2 * hidden), plan.buffer("fp32", 3 * hidden)
        plan.copy(source, first, 3 * mels)
        self._layers.linear((stem.first,), first, made, gelu=True, column=0)
        plan.copy(source, second, 3 * mels, first=mels)
        self._layers.linear((stem.first,), second, made, gelu=True, column=hidden, watched=False)
        plan.previous(made, unfolded, hidden, first=hidden)
        plan.copy(made, unfolded, 2 * hidden, to=hidden)
        self._layers.linear((stem.second,), unfolded, self._stream, gelu=True)
        plan.positions(self._stream, self._positions(stem.position))

    def _positions(self, name: str) -> NDArray[np.float32]:
        tensor, hidden = self._layers.tensor(name), self._tower.hidden
        shape = tensor.spec.shape
        if len(shape) != 2 or shape[0] < self._tower.rows or shape[1] != hidden:
            raise WeightError(
                f"{name} has shape {list(shape)}; the configuration needs at least "
                f"[{self._tower.rows}, {hidden}]"
            )
        tensor.verify()
        return tensor.to_float32()

    def _block(self, block: TowerBlock, layer: int, crossings: int) -> None:
        self._norm(block.attention_norm, self._stream, self._normed)
        self._attention(block.attention, layer)
        if block.cross is not None and block.cross_norm is not None:
            self._norm(block.cross_norm, self._stream, self._normed)
            self._cross(block.cross, crossings)
        self._norm(block.feed_forward_norm, self._stream, self._normed)
        up, down = block.feed_forward.up, block.feed_forward.down
        inner = self._plan.buffer("fp32", self._layers.tensor(up.weight).spec.shape[0])
        activation = block.feed_forward.activation
        self._layers.linear((up,), self._normed, inner, gelu=activation == "gelu")
        if activation != "gelu":
            self._plan.activate(inner, inner, activation)
        self._add(down, inner)

    def _attention(self, attention: Attention, layer: int) -> None:
        hidden, causal = self._tower.hidden, self._tower.causal
        joined, context = self._plan.buffer("fp32", 3 * hidden), self._plan.buffer("fp32", hidden)
        self._layers.linear((attention.query, attention.key, attention.value), self._normed, joined)
        # A tower of text is never run over a cache, one of transcripts always may.
        cached = layer if causal and self._tower.kind == "transcript" else -1
        self._plan.attention(joined, context, heads=attention.heads, causal=causal, layer=cached)
        self._add(attention.output, context)

    def _cross(self, attention: Attention, number: int) -> None:
        hidden = self._tower.hidden
        queries, context = self._plan.buffer("fp32", hidden), self._plan.buffer("fp32", hidden)
        self._layers.linear((attention.query,), self._normed, queries)
        keys = 2 * hidden * number
        self._plan.cross_attention(queries, context, heads=attention.heads, keys=keys, values=keys + hidden)
        self._add(attention.output, context)

    def _add(self, layer: Linear, source: int) -> None:
        self._layers.linear((layer,), source, self._stream, residual=self._stream)

    def _norm(self, norm: Norm, source: int, output: int) -> None:
        hidden = self._tower.hidden
        self._plan.layer_norm(
            source,
            output,
            gamma=self._layers.vector(norm.weight, hidden),
            beta=self._layers.vector(norm.bias, hidden),
            epsilon=norm.epsilon,
        )
