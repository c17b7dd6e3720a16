"""Which matrices of a language model stay in memory, and which come and go: a promise of `ram` kept."""

from __future__ import annotations

import os
import resource
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arrowmind.engine.expert_rates import missing_share
from arrowmind.engine.latent_compiler import folded_bytes
from arrowmind.errors import InvalidArgumentError, MemoryBudgetError
from arrowmind.frozen import dataclass
from arrowmind.models.decoder_spec import LatentAttention, RoutedFeedForward
from arrowmind.models.spec import Linear
from arrowmind.observe import get_logger
from arrowmind.weights import Moving, StreamedWeights, WeightFile, streamed_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from arrowmind import _native
    from arrowmind.config import ResidencySettings
    from arrowmind.models.decoder_spec import DecoderBlock, DecoderSpec
    from arrowmind.weights import WeightSource

__all__ = ["Placement", "Residence", "Room", "fit", "moving_parts", "place", "process_bytes"]

_log = get_logger("arrowmind.engine")
# What grows beside the things that are counted: tokenisers, Python, the threads' own.
_SLACK = 48 << 20
# The matrix of latent attention that is met in another form, made when a model is opened.
_FOLDED = "unfold"


@dataclass(frozen=True)
class Room:
    """What must be in memory beside matrices, in bytes.

    Attributes:
        process: what the process has now.
        cache: of keys and values.
        scratch: of a forward.
    """

    process: int
    cache: int
    scratch: int

    @property
    def total(self) -> int:
        """All of it, and slack."""
        return self.process + self.cache + self.scratch + _SLACK


class Residence:
    """Asks for what comes and goes in time, as operators of a decoder's plan.

    Of a model with experts they come and go, each by itself, and all else stays. Of another the blocks do.
    """

    def __init__(self, weights: StreamedWeights, settings: ResidencySettings) -> None:
        self.weights = weights
        self._settings = settings
        self._ahead = settings.ahead if settings.overlap else 0
        self._at: dict[int, list[int]] = {}
        self._cut: int | None = None
        for number, group in enumerate(weights.groups):
            self._at.setdefault(group.place, []).append(number)
        self._whole = all(len(numbers) == 1 for numbers in self._at.values())

    @property
    def moves_experts(self) -> bool:
        """Whether experts come and go, and all else stays."""
        return not self._whole

    @property
    def missing(self) -> float:
        """Share of what comes and goes that is not in memory when all of it is needed as often."""
        native = self.weights.residency
        return missing_share(native.block_bytes(), native.budget - int(native.counters()["pinned_bytes"]))

    def cut(self, layer: int) -> None:
        """Blocks from `layer` on run elsewhere: those before it are read in a round of their own."""
        self._cut = layer

    def enter(self, plan: _native.Plan, layer: int) -> None:
        """Operators behind this one compute block `layer`."""
        if self._whole:
            plan.need(self.weights.residency, self._at[layer], self._soon(layer))

    def leave(self, plan: _native.Plan, layer: int) -> None:
        """Block `layer`, the last of the plan, is done: the first ones are read for the next forward."""
        if self._whole and layer >= 0:
            plan.need(self.weights.residency, [], self._soon(layer))

    def experts(self, layer: int) -> dict[str, Any] | None:
        """What the operator of the experts of block `layer` is told; None where they stay."""
        if self._whole or layer not in self._at:
            return None
        places = sorted(self._at)
        at = places.index(layer)
        count = min(self._ahead, len(places) - 1)
        following = (places[(at + step) % len(places)] for step in range(1, count + 1))
        return {
            "residency": self.weights.residency,
            "blocks": self._at[layer],
            "ahead": [block for place in following for block in self._at[place]],
            "next": self._at[places[at + 1]] if self.guesses(layer) else [],
            "threshold": self._settings.expert_threshold,
            "together": not self._settings.overlap,
        }

    def guesses(self, layer: int) -> bool:
        """Whether the experts of the next routed block are guessed while those of block `layer` compute."""
        is_last = layer >= max(self._at)
        return not self._whole and not is_last and self._settings.overlap and self._settings.foresee

    def begin(self) -> None:
        """Sends for the first blocks, as many as fit: they come while nobody waits for them yet."""
        native = self.weights.residency
        if not self._whole or not self._ahead:
            return
        room = native.budget - int(native.counters()["pinned_bytes"])
        sizes, blocks = native.block_bytes(), [self._at[place][0] for place in sorted(self._at)[: self._cut]]
        while blocks and sum(sizes[block] for block in blocks) > room:
            blocks.pop()
        native.prefetch(blocks)

    def counters(self) -> dict[str, float]:
        """Hits, misses, bytes read and the time they took, since the model was opened."""
        return self.weights.residency.counters()

    def _soon(self, layer: int) -> list[int]:
        is_before = self._cut is not None and layer < self._cut
        count = self._cut if is_before and self._cut is not None else len(self._at)
        return [self._at[(layer + step) % count][0] for step in range(1, min(self._ahead, count - 1) + 1)]


@dataclass(frozen=True)
class Placement:
    """Where the bytes of a model are while it runs in `ram` bytes.

    Attributes:
        ram: what the process may have.
        room: what must be there beside matrices.
        fixed: tensors that stay, and the copy that a head makes of the table it is tied to.
        parts: what may come and go.
        sizes: of each of these.
        layers: most layers of them in memory; 0 for as many as fit.
    """

    ram: int
    room: Room
    fixed: int
    parts: tuple[Moving, ...]
    sizes: tuple[int, ...]
    layers: int = 0

    @property
    def whole(self) -> int:
        """Bytes of a process with everything in memory."""
        return self.room.total + self.fixed + sum(self.sizes)

    @property
    def least(self) -> int:
        """Bytes of a process with two of the parts in memory: one that computes, one that comes."""
        return self.room.total + self.fixed + 2 * max(self.sizes)

    @property
    def available(self) -> int:
        """Bytes that are left for parts that come and go."""
        return self.ram - self.room.total - self.fixed

    @property
    def budget(self) -> int:
        """Bytes that they take of these."""
        return min(self.available, self.bound)

    @property
    def bound(self) -> int:
        """Bytes of as many layers as may be in memory."""
        return _largest(self.parts, self.sizes, self.layers)

    @property
    def fits(self) -> bool:
        """Whether nothing needs to come and go."""
        places = len({part.place for part in self.parts})
        return self.whole <= self.ram and not 0 < self.layers < places

    def check(self, path: Path) -> None:
        """Raises MemoryBudgetError where what is always needed does not fit."""
        if not self.fits and self.least > self.ram:
            room = self.room
            raise MemoryBudgetError(
                f"{path}: ram of {self.ram} bytes is too small; give at least {self.least}: "
                f"{room.process} for the process, {self.fixed} for tensors that stay, {room.cache} for the "
                f"cache, {room.scratch} for scratch, {2 * max(self.sizes)} for two parts that come and go"
            )


def place(weights: WeightSource, model: DecoderSpec, room: Room, ram: int, layers: int = 0) -> Placement:
    """Counts what a model needs where at most so many layers of it may be in memory; 0: as many as fit.

    Raises:
        InvalidArgumentError: the weights are not those of a weights.arrow.
    """
    if not isinstance(weights, WeightFile):
        raise InvalidArgumentError(
            f"{weights.path} is {weights.kind}: a budget of memory takes weights.arrow; convert the model"
        )
    parts = moving_parts(model)
    sizes = tuple(streamed_bytes(weights, part.names) for part in parts)
    fixed = _fixed_bytes(weights, model, {name for part in parts for name in part.names})
    return Placement(ram, room, fixed, tuple(parts), sizes, layers)


def fit(
    weights: WeightSource, model: DecoderSpec, room: Room, ram: int, settings: ResidencySettings
) -> Residence | None:
    """Lets matrices come and go where the model does not fit `ram` whole.

    Args:
        weights: a native weight file.
        model: what is computed.
        room: what must be there beside.
        ram: bytes the process may have.
        settings: how they come and go.

    Returns:
        None where everything fits.

    Raises:
        MemoryBudgetError: what is always needed does not fit; the message says how much does.
        InvalidArgumentError: the weights are of another kind of file.
    """
    placement = place(weights, model, room, ram, settings.max_layers)
    placement.check(weights.path)
    if placement.fits or not isinstance(weights, WeightFile):
        _log.info("the model fits its budget", ram=ram, needed=placement.whole)
        return None
    streamed = StreamedWeights(
        weights, placement.parts, placement.available, policy=settings.policy, readers=settings.readers
    )
    if placement.layers:
        _bound(streamed, placement)
    _log.info(
        "matrices come and go",
        ram=ram,
        budget=streamed.residency.budget,
        bytes=sum(placement.sizes),
        parts=len(placement.parts),
        direct=streamed.residency.is_direct,
    )
    return Residence(streamed, settings)


def _bound(streamed: StreamedWeights, placement: Placement) -> None:
    """No more layers than may be in memory, by the whole pages that they take."""
    native = streamed.residency
    layers = _largest(placement.parts, native.block_bytes(), placement.layers)
    most = int(native.counters()["pinned_bytes"]) + layers
    native.set_budget(max(native.needed_bytes, min(placement.available, most)))


def _largest(parts: Sequence[Moving], sizes: Sequence[int], layers: int) -> int:
    """Bytes of the largest `layers` layers; of all for 0."""
    found: dict[int, int] = {}
    for part, size in zip(parts, sizes, strict=True):
        found[part.place] = found.get(part.place, 0) + size
    return sum(sorted(found.values(), reverse=True)[: layers or None])


def process_bytes() -> int:
    """Memory of this process now."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:  # not Linux: the most it ever had
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return pages * os.sysconf("SC_PAGE_SIZE")


def moving_parts(model: DecoderSpec) -> list[Moving]:
    """What may come and go: the experts of a model that has such, else its blocks."""
    routed = any(isinstance(block.feed_forward, RoutedFeedForward) for block in model.blocks)
    found = []
    for place, block in enumerate(model.blocks):
        if not routed:
            found.append(Moving(tuple(_matrices(block)), place))
        elif isinstance(block.feed_forward, RoutedFeedForward):
            for expert in block.feed_forward.experts:
                names = (expert.gate.weight, expert.up.weight, expert.down.weight)
                found.append(Moving(names, place, asked=True))
    return found


def _matrices(block: DecoderBlock) -> Iterator[str]:
    for part in fields(block.attention):
        layer = getattr(block.attention, part.name)
        if isinstance(layer, Linear) and part.name != _FOLDED:
            yield layer.weight
    for layer in (*block.feed_forward.readers, *block.feed_forward.writers):
        yield layer.weight


def _fixed_bytes(weights: WeightFile, model: DecoderSpec, moving: set[str]) -> int:
    """Bytes of the tensors that stay, and of what is made of some: a head of its table, matrices of heads."""
    latents = [block.attention for block in model.blocks if isinstance(block.attention, LatentAttention)]
    replaced = moving | {attention.unfold.weight for attention in latents}
    stay = sum(weights.spec(name).codes_bytes for name in weights.names() if name not in replaced)
    stay += sum(folded_bytes(weights, attention) for attention in latents)
    tied = model.head.weight == model.embedding
    return stay + (weights.spec(model.embedding).codes_bytes if tied else 0)
