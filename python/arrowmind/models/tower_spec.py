"""Encoders of images and sound as data, and what reads or writes text beside them.

A model is a set of towers: pre-norm transformers that differ in what they begin with, what they look at and
what they end in. Names are keys of tensors in the weight file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from arrowmind.frozen import dataclass

if TYPE_CHECKING:
    from arrowmind.models.spec import Attention, FeedForward, Linear, Norm

__all__ = [
    "ImageStem",
    "SenseSpec",
    "SoundStem",
    "TextStem",
    "Tower",
    "TowerBlock",
    "TowerKind",
]

TowerKind = Literal["text", "image", "sound", "transcript"]


@dataclass(frozen=True)
class TowerBlock:
    """Attention and feed-forward, each behind its norm and beside its residual.

    Attributes:
        cross: attention to what another tower made, between the two; None where there is none.
        cross_norm: before it.
    """

    attention: Attention
    attention_norm: Norm
    feed_forward: FeedForward
    feed_forward_norm: Norm
    cross: Attention | None = None
    cross_norm: Norm | None = None


@dataclass(frozen=True)
class TextStem:
    """Token and position tables, summed.

    Attributes:
        vocabulary: token ids are below this.
    """

    word: str
    position: str
    vocabulary: int


@dataclass(frozen=True)
class ImageStem:
    """Square patches of an image through one matrix, a class row before them, positions, a norm.

    Attributes:
        patches: matrix over the values of a patch, by channel, line and column.
        class_row: a vector, the first row.
        size: edge of the image in pixels.
        patch: edge of a patch in pixels.
        resize: the shorter edge is scaled to this before the middle is cut out.
        mean: of each channel, subtracted from values of 0 to 1.
        deviation: of each channel, what is left is divided by.
    """

    patches: Linear
    class_row: str
    position: str
    norm: Norm
    size: int
    patch: int
    resize: int
    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]


@dataclass(frozen=True)
class SoundStem:
    """Two convolutions over a log-mel spectrogram, GELU after each, and positions.

    Attributes:
        first: over 3 frames; matrix [n_out, 3 * mels], frame by frame.
        second: over 3 of what the first made, 2 apart; likewise.
        mels: bands of a frame.
    """

    first: Linear
    second: Linear
    position: str
    mels: int


@dataclass(frozen=True)
class Tower:
    """One transformer.

    Attributes:
        kind: what it reads; `transcript` reads tokens, and looks at what the tower of sound made.
        hidden: columns of the residual stream.
        norm: after the last block.
        causal: whether a row sees those before it alone.
        pooling: the row that stands for all: `first`, `last`, or `rows` where all are the result.
        projection: of that row; None leaves it.
        columns: of the result.
        rows: most rows of a sequence.
    """

    kind: TowerKind
    stem: TextStem | ImageStem | SoundStem
    hidden: int
    blocks: tuple[TowerBlock, ...]
    norm: Norm
    causal: bool
    pooling: Literal["first", "last", "rows"]
    projection: Linear | None
    columns: int
    rows: int


@dataclass(frozen=True)
class SenseSpec:
    """A model of one or more senses.

    Attributes:
        family: The `model_type` of config.json.
        hidden: Columns of an embedding.
        vocabulary: Token ids are below this.
        max_tokens: Longest text, special tokens included.
        towers: In the order in which they are run.
        head: Matrix or table that makes logits of a transcript; None where the model writes none.
    """

    family: str
    hidden: int
    vocabulary: int
    max_tokens: int
    towers: tuple[Tower, ...]
    head: str | None = None

    @property
    def blocks(self) -> tuple[TowerBlock, ...]:
        """Of all towers."""
        return tuple(block for tower in self.towers for block in tower.blocks)

    def tower(self, kind: TowerKind) -> Tower | None:
        """The tower of this kind, if there is one."""
        return next((tower for tower in self.towers if tower.kind == kind), None)
