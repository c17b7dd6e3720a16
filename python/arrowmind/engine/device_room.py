"""What of a language model fits into the memory of a device: counted before it is opened."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

from arrowmind.engine.bodies import Split
from arrowmind.engine.latent_compiler import folded_bytes
from arrowmind.frozen import dataclass
from arrowmind.models.decoder_spec import LatentAttention, RoutedFeedForward

if TYPE_CHECKING:
    from collections.abc import Iterator

    from arrowmind.engine.forward_room import ForwardBound, ForwardRoom
    from arrowmind.models.decoder_spec import DecoderBlock, DecoderSpec
    from arrowmind.weights import WeightSource
    from arrowmind.weights.tensor_spec import TensorSpec

__all__ = ["BlockSizes", "DeviceRoom", "count_room", "experts_of", "routed_share"]

# Constants begin at multiples of so many bytes; small ones share buffers of a MiB, not to the last byte.
_ALIGNMENT, _SHARED = 256, 2 << 20
# Memory of forwards comes in classes that are so much larger at most.
_CLASSES = 1.125


@dataclass(frozen=True)
class BlockSizes:
    """Bytes of a block on a device.

    Attributes:
        always: weights that every token meets.
        experts: weights of routed experts; 0 for a dense block.
        cache: keys and values of all tokens that the cache holds.
    """

    always: int
    experts: int
    cache: int


@dataclass(frozen=True)
class DeviceRoom:
    """What a model takes of a device, in bytes.

    Attributes:
        blocks: in order.
        head: the matrix of the head.
        embedding: the table of embeddings.
        scratch: buffers of forwards of as many rows as the CPU reads at once, and what small constants leave
            free.
        forward: of one of these forwards, as they are asked for.
        wider: that one of as many rows as fill the device takes more, where all of the model is there.
    """

    blocks: tuple[BlockSizes, ...]
    head: int
    embedding: int
    scratch: int
    forward: int = 0
    wider: int = 0

    @property
    def whole(self) -> int:
        """Bytes of all of it."""
        blocks = sum(one.always + one.experts + one.cache for one in self.blocks)
        return self.scratch + self.head + self.embedding + blocks

    def widened(self, room: int) -> int:
        """Bytes that a forward takes more where all of the model is there: of what it leaves of the room."""
        return max(0, min(self.wider, int((room - self.whole) / _CLASSES)))

    def taken_whole(self, room: int) -> int:
        """Bytes of all of it, with forwards as wide as there is room for."""
        return self.whole + int(_CLASSES * self.widened(room))

    @property
    def passing(self) -> int:
        """Bytes that blocks take which pass through: two of them, the keys and values of one, and buffers."""
        largest = sorted((one.always + one.experts for one in self.blocks), reverse=True)[:2]
        return sum(largest) + max(one.cache for one in self.blocks) + self.scratch

    def split(self, room: int, most: int = -1, *, experts: bool = True) -> Split:
        """What goes there: the head, blocks from the last on, and then experts of these from the last on.

        A byte that every token meets is worth more there than one of an expert, which few tokens meet.

        Args:
            room: bytes that may be taken.
            most: blocks, at most; -1: as many as fit.
            experts: whether experts may go there.
        """
        left = room - self.scratch
        has_head = self.head <= left
        left -= self.head if has_head else 0
        blocks, limit = 0, len(self.blocks) if most < 0 else min(most, len(self.blocks))
        for one in reversed(self.blocks):
            if blocks == limit or one.always + one.cache > left:
                break
            left -= one.always + one.cache
            blocks += 1
        routed = [one for one in reversed(self.blocks[len(self.blocks) - blocks :]) if one.experts]
        there = 0
        for one in routed:
            if not experts or one.experts > left:
                break
            left -= one.experts
            there += 1
        return Split(blocks, has_head, len(routed) - there)

    def taken(self, split: Split) -> int:
        """Bytes that it takes when it is cut so."""
        there = self.blocks[len(self.blocks) - split.blocks :] if split.blocks else ()
        left = split.experts_here
        size = self.scratch + (self.head if split.head else 0)
        size += (self.passing if split.prompt_rows else 0) + split.expert_room
        for one in there:
            size += one.always + one.cache
            if one.experts and left > 0:
                left -= 1
            else:
                size += one.experts
        return size


def count_room(
    model: DecoderSpec,
    weights: WeightSource,
    cached: int,
    value_bytes: float,
    forwards: ForwardRoom,
    bound: ForwardBound,
) -> DeviceRoom:
    """Counts what a model takes of a device.

    Args:
        model: what is computed.
        weights: its tensors.
        cached: tokens of a cache.
        value_bytes: of a number in it, scales included.
        forwards: what they take.
        bound: the most of one.
    """
    names = set(weights.names())

    def size(part: Any) -> int:
        return sum(_tensor_bytes(weights.spec(name)) for name in set(_strings(part)) & names)

    blocks = tuple(_block(block, size, weights, cached, value_bytes) for block in model.blocks)
    head, embedding = size(model.head), size(model.embedding)
    forward = min(forwards.row * forwards.rows, bound.bytes)
    widest = min(forwards.row * bound.rows_beside(forwards.rows), bound.bytes)
    scratch = int(_CLASSES * (forward + forwards.logits)) + _SHARED
    return DeviceRoom(blocks, head, embedding, scratch, forward, max(0, widest - forward))


def routed_share(model: DecoderSpec) -> float:
    """Experts that a token meets, of all of a block."""
    experts = experts_of(model)
    if not experts:
        return 1.0
    routed = [one.feed_forward for one in model.blocks if isinstance(one.feed_forward, RoutedFeedForward)]
    return routed[0].router.top / experts


def experts_of(model: DecoderSpec) -> int:
    """Experts of a routed block; 0 for a model without."""
    routed = [one.feed_forward for one in model.blocks if isinstance(one.feed_forward, RoutedFeedForward)]
    return len(routed[0].experts) if routed else 0


def _block(
    block: DecoderBlock, size: Any, weights: WeightSource, cached: int, value_bytes: float
) -> BlockSizes:
    attention, routed = block.attention, block.feed_forward
    experts = size(routed.experts) if isinstance(routed, RoutedFeedForward) else 0
    always = size(block) - experts
    if isinstance(attention, LatentAttention):
        always += folded_bytes(weights, attention) - size(attention.unfold)
    cache = 2 * attention.key_heads * attention.head_dim * value_bytes * cached
    return BlockSizes(always, experts, int(cache))


def _tensor_bytes(spec: TensorSpec) -> int:
    """Codes, and what belongs to them: scales, zero points, sums, each rounded up."""
    aside = 4 * 12 * spec.padded_rows if spec.grid is None else 8 * spec.scale_count + 4 * spec.padded_rows
    aside = 0 if len(spec.shape) < 2 else aside
    return spec.codes_bytes + aside + 5 * _ALIGNMENT


def _strings(part: Any) -> Iterator[str]:
    """All texts of a description, names of tensors among them."""
    if isinstance(part, str):
        yield part
    elif isinstance(part, tuple):
        for one in part:
            yield from _strings(one)
    elif is_dataclass(part):
        for field in fields(part):
            yield from _strings(getattr(part, field.name))
