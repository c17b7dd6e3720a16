"""Incoherence for decoders: the residual stream in other coordinates, in which no column stands out.

An RMS norm does not see a rotation: with x' = x Q, what a block with the norm first computes stays the same
if what it reads is multiplied by Q, after the norm's own scale went over to the matrices that read it, and
what it writes is multiplied by Q as well. Q is random signs, then a Hadamard matrix: a large value of one
column is spread over all. Heads of values are rotated likewise, between the value and the output matrix. All
of it is folded into the weights beforehand, and nothing is left to do when the model runs.

Not for models whose residual reads the norm's output (BERT), or that normalise what a block adds (Gemma 2
and 3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from arrowmind.errors import QuantizationError
from arrowmind.quantize.overlay import Overlay
from arrowmind.weights.tensor import float_tensor

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from arrowmind.models.decoder_spec import DecoderAttention, DecoderBlock, DecoderSpec, RmsNorm
    from arrowmind.models.spec import Linear
    from arrowmind.weights import Tensor, WeightSource
    from arrowmind.weights.tensor_spec import TensorSpec

    Floats = npt.NDArray[np.floating[Any]]

__all__ = ["Rotated", "Rotation"]

_HEAD = "lm_head.weight"


class Rotation:
    """An orthogonal matrix [n, n]: random signs, then Hadamard's, by a random one where n is no power of 2.

    Attributes:
        n: size.
    """

    def __init__(self, n: int, seed: int) -> None:
        """Draws the matrix; equal seeds draw the same."""
        chance = np.random.default_rng([seed, n])
        self.n = n
        self._signs = chance.choice((-1.0, 1.0), n)
        self._power = n & -n
        mixed, triangle = np.linalg.qr(chance.standard_normal((n // self._power, n // self._power)))
        self._mixed = mixed * np.sign(np.diagonal(triangle))

    def __call__(self, rows: Floats) -> npt.NDArray[np.float64]:
        """Rows [..., n] times the matrix, in float64."""
        values = (rows * self._signs).reshape(*rows.shape[:-1], -1, self._power)
        values = _hadamard(values) / np.sqrt(self._power)
        turned = np.einsum("...ij,ik->...kj", values, self._mixed, optimize=True)
        result: npt.NDArray[np.float64] = turned.reshape(rows.shape)
        return result


@dataclass(frozen=True)
class _Lazy:
    """Values that are computed when they are asked for."""

    compute: Callable[[], Floats]

    def values(self) -> npt.NDArray[np.float32]:
        return self.compute().astype(np.float32)


class Rotated(Overlay):
    """A decoder's weights with its residual stream and its heads of values rotated; in float32.

    A head that is tied to the embeddings becomes a matrix of its own, because only one of both takes over the
    scale of the last norm; `documents` then says so. Tensors are computed when they are asked for.
    """

    def __init__(self, base: WeightSource, model: DecoderSpec, seed: int = 0) -> None:
        """Rotates ``base``, which the model ``model`` is made of.

        Raises:
            QuantizationError: the model normalises what its blocks add.
        """
        if any(block.attention_output_norm or block.feed_forward_output_norm for block in model.blocks):
            raise QuantizationError(
                f"{base.path}: {model.family} normalises what its blocks add, so that no rotation can be "
                "folded into them; quantise it without"
            )
        if model.has_latent_rows:
            raise QuantizationError(
                f"{base.path}: the heads of {model.family} unfold from latent rows, into which no rotation "
                "can be folded; quantise it without"
            )
        self._stream = Rotation(model.hidden, seed)
        self._seed = seed
        self._tied = model.head.weight == model.embedding
        self._made: dict[str, _Lazy] = {}
        super().__init__(base, self._made)
        self.kind = "rotated"
        self._made[model.embedding] = _Lazy(lambda: self._stream(base.real_values(model.embedding)))
        for block in model.blocks:
            self._rotate_block(block)
        self._read(model.head.norm, model.head.weight, to=_HEAD if self._tied else model.head.weight)

    def names(self) -> list[str]:
        """Those of the source below, and the head's where it was tied."""
        return [*super().names(), _HEAD] if self._tied else super().names()

    def spec(self, name: str) -> TensorSpec:
        """Of the tensor that stands there now."""
        return self.tensor(name).spec if name in self._made else super().spec(name)

    def tensor(self, name: str) -> Tensor:
        """The one that stands there now, made anew each time."""
        if name not in self._made:
            return super().tensor(name)
        return float_tensor(name, np.ascontiguousarray(self._made[name].values())).for_kernels()

    @property
    def documents(self) -> dict[str, dict[str, Any]]:
        """Those of the source below; the configuration says that the head is no longer tied."""
        documents = super().documents
        if not self._tied:
            return documents
        return {**documents, "model": {**documents["model"], "tie_word_embeddings": False}}

    def _rotate_block(self, block: DecoderBlock) -> None:
        # __init__() has refused any other.
        attention, feed_forward = cast("DecoderAttention", block.attention), block.feed_forward
        heads = Rotation(attention.head_dim, self._seed)
        for layer in (attention.query, attention.key):
            self._read(block.attention_norm, layer.weight)
        self._read(block.attention_norm, attention.value.weight, heads)
        if attention.value.bias:
            self._replace(attention.value.bias, lambda bias: _by_head(bias, heads))
        for layer in feed_forward.readers:
            self._read(block.feed_forward_norm, layer.weight)
        self._write(attention.output, heads)
        for layer in feed_forward.writers:
            self._write(layer)

    def _read(self, norm: RmsNorm, name: str, heads: Rotation | None = None, *, to: str = "") -> None:
        """A matrix that reads the stream through a norm: it takes over the norm's scale."""
        self._replace(norm.weight, lambda weight: np.full_like(weight, 1 - norm.offset))
        base = self._base

        def values(matrix: Floats) -> Floats:
            scale = base.real_values(norm.weight).astype(np.float64) + norm.offset
            turned = self._stream(matrix * scale)
            return turned if heads is None else _by_head(turned.T, heads).T

        self._replace(name, values, to=to)

    def _write(self, layer: Linear, heads: Rotation | None = None) -> None:
        """A matrix whose outputs join the stream."""

        def values(matrix: Floats) -> Floats:
            turned = self._stream(matrix.T).T
            return turned if heads is None else _by_head(turned, heads)

        self._replace(layer.weight, values)
        if layer.bias:
            self._replace(layer.bias, self._stream)

    def _replace(self, name: str, change: Callable[[Floats], Floats], *, to: str = "") -> None:
        base = self._base
        self._made[to or name] = _Lazy(lambda: change(base.real_values(name).astype(np.float64)))


def _by_head(rows: Floats, rotation: Rotation) -> Floats:
    """Rows [..., heads * n], each head of n rotated."""
    return rotation(rows.reshape(*rows.shape[:-1], -1, rotation.n)).reshape(rows.shape)


def _hadamard(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Times Hadamard's matrix (of ones and minus ones) along the last axis, whose length is a power of 2."""
    n = values.shape[-1]
    step = 1
    while step < n:
        pairs = values.reshape(*values.shape[:-1], n // (2 * step), 2, step)
        low, high = pairs[..., 0, :], pairs[..., 1, :]
        values = np.stack([low + high, low - high], axis=-2).reshape(values.shape)
        step *= 2
    return values
