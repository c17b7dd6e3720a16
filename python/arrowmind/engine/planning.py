"""Says before a language model is opened where its bytes will be, and how fast it will be."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from arrowmind.engine.opening import room_of
from arrowmind.engine.residence import place
from arrowmind.models.decoder_spec import RoutedFeedForward

if TYPE_CHECKING:
    from arrowmind.config import Config
    from arrowmind.engine.folder import ModelFolder
    from arrowmind.engine.residence import Placement
    from arrowmind.models.decoder_spec import DecoderSpec

__all__ = ["Rates", "RunPlan", "plan_run"]

_PROMPT = 128


@dataclass(frozen=True)
class Rates:
    """Bytes of weights per second.

    Attributes:
        memory: that a product with one row reads.
        disk: that are read past the page cache.
    """

    memory: float
    disk: float


@dataclass(frozen=True)
class RunPlan:
    """What a model needs and what comes of it, in bytes and seconds.

    Attributes:
        ram: what the process may have.
        process: what it has before the model.
        cache: of keys and values.
        scratch: of a forward.
        fixed: tensors that stay.
        moving: matrices that come and go; 0 where everything fits.
        budget: room for them.
        parts: number of them.
        active: weights that a token meets.
        read: bytes that are read from disk for a token, once the first ones are done.
        token_seconds: foretold for one token of one text.
        first_seconds: foretold from an opened model to the first token after a prompt of 128.
        bottleneck: what a token waits for.
    """

    ram: int
    process: int
    cache: int
    scratch: int
    fixed: int
    moving: int
    budget: int
    parts: int
    active: int
    read: int
    token_seconds: float
    first_seconds: float
    bottleneck: Literal["memory", "disk"]

    def to_dict(self) -> dict[str, Any]:
        """For JSON; with tokens per second."""
        return {**asdict(self), "tokens_per_second": 1 / self.token_seconds}


def plan_run(folder: ModelFolder, config: Config, ram: int, rates: Rates) -> RunPlan:
    """Foretells a run from what a token must read, from memory and from disk.

    Blocks are read while others compute, if that is allowed, so the slower of both decides; which experts a
    token asks for is not known before, so what is missing of them is waited for. Of random routes, a part is
    there as often as the budget has room for it.

    Raises:
        MemoryBudgetError: the model cannot run in `ram`; the message says how much it needs.
        InvalidArgumentError: it is no language model, or not in a weights.arrow.
    """
    model = folder.decoder
    settings = config.residency
    placement = place(folder.weights, model, room_of(folder, config), ram, settings.max_layers)
    placement.check(folder.weights.path)
    met, active = _active(model, placement)
    read = 0 if placement.fits else _missing(placement, met)
    from_memory, from_disk = active / rates.memory, read / rates.disk
    in_turn = _experts(model) > 0 or not (settings.overlap and settings.ahead)
    seconds = from_memory + from_disk if in_turn else max(from_memory, from_disk)
    first = 0 if placement.fits else _prompt_bytes(model, placement)
    room = placement.room
    return RunPlan(
        ram=ram,
        process=room.process,
        cache=room.cache,
        scratch=room.scratch,
        fixed=placement.fixed,
        moving=0 if placement.fits else sum(placement.sizes),
        budget=placement.budget,
        parts=0 if placement.fits else len(placement.parts),
        active=active,
        read=read,
        token_seconds=seconds,
        first_seconds=first / rates.disk + seconds,
        bottleneck="disk" if from_disk > from_memory else "memory",
    )


def _experts(model: DecoderSpec) -> int:
    """Experts of a routed block; 0 for a model without."""
    routed = [one.feed_forward for one in model.blocks if isinstance(one.feed_forward, RoutedFeedForward)]
    return len(routed[0].experts) if routed else 0


def _active(model: DecoderSpec, placement: Placement) -> tuple[int, int]:
    """Bytes of moving parts, and of all weights, that one token meets."""
    met = float(sum(placement.sizes))
    experts = _experts(model)
    if experts:
        top = next(
            one.feed_forward.router.top
            for one in model.blocks
            if isinstance(one.feed_forward, RoutedFeedForward)
        )
        met *= top / experts
    # Of the tensors that stay a token meets all but the table it is looked up in; a tied head is a copy.
    return int(met), int(met) + placement.fixed


def _missing(placement: Placement, met: int) -> int:
    """Bytes of `met` that are not there: what does not fit, less one part that is on its way."""
    whole = sum(placement.sizes)
    kept = max(0, placement.budget - max(placement.sizes))
    return int(met * (1 - min(1.0, kept / whole)))


def _prompt_bytes(model: DecoderSpec, placement: Placement) -> int:
    """Bytes that a prompt of 128 tokens meets."""
    experts = _experts(model)
    if not experts:
        return sum(placement.sizes)
    met, _ = _active(model, placement)
    share = met / sum(placement.sizes)
    return int(sum(placement.sizes) * (1 - (1 - share) ** _PROMPT))
