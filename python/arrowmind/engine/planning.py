"""Says before a language model is opened where its bytes will be, and how fast it will be."""

from __future__ import annotations

import math
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

__all__ = ["Forecast", "Rates", "RunPlan", "plan_run"]

_PROMPT = 128


@dataclass(frozen=True)
class Rates:
    """Bytes of weights per second.

    Attributes:
        memory: that a product with one row reads.
        disk: that are read past the page cache.
        prompt: that a product with many rows meets, times its rows; infinite where it was not measured.
    """

    memory: float
    disk: float
    prompt: float = math.inf


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


class Forecast:
    """Foretells a run from what a token must read, from memory and from disk.

    Blocks are read while others compute, if that is allowed, so the slower of both decides; which experts a
    token asks for is not known before, so what is missing of them is waited for. Of random routes, a part is
    there as often as the budget has room for it.
    """

    def __init__(self, folder: ModelFolder, config: Config, ram: int, rates: Rates) -> None:
        """Counts what the model needs in this process, as it is now.

        Args:
            folder: of the model, which is not open yet.
            config: how it is to run.
            ram: bytes that the process may have.
            rates: of this machine.

        Raises:
            MemoryBudgetError: the model cannot run in `ram`; the message says how much it needs.
            InvalidArgumentError: it is no language model, or not in a weights.arrow.
        """
        settings, self._model, self._rates = config.residency, folder.decoder, rates
        room = room_of(folder, config)
        self._placement = place(folder.weights, folder.decoder, room, ram, settings.max_layers)
        self._placement.check(folder.weights.path)
        self._in_turn = _experts(self._model) > 0 or not (settings.overlap and settings.ahead)
        self._met, self._active = _active(self._model, self._placement)

    @property
    def _read(self) -> int:
        """Bytes that are read from disk for a token."""
        return 0 if self._placement.fits else _missing(self._placement, self._met)

    @property
    def token_seconds(self) -> float:
        """For one token of one text."""
        return self._together(self._active / self._rates.memory, self._read / self._rates.disk)

    def first_seconds(self, prompt: int, *, is_first: bool) -> float:
        """From a request to its first token.

        Args:
            prompt: tokens that are read for it.
            is_first: nothing was asked for before, so that nothing is in memory of what comes and goes.
        """
        read = 0 if self._placement.fits else _prompt_bytes(self._model, self._placement, prompt)
        if read and not is_first:
            read = _missing(self._placement, read)
        once = self._active / self._rates.memory
        return self._together(max(once, self._active * prompt / self._rates.prompt), read / self._rates.disk)

    def _together(self, compute: float, disk: float) -> float:
        return compute + disk if self._in_turn else max(compute, disk)

    def plan(self) -> RunPlan:
        """Where the bytes are, and the times."""
        placement, read = self._placement, self._read
        room, moves = placement.room, not placement.fits
        from_disk, from_memory = read / self._rates.disk, self._active / self._rates.memory
        return RunPlan(
            ram=placement.ram,
            process=room.process,
            cache=room.cache,
            scratch=room.scratch,
            fixed=placement.fixed,
            moving=sum(placement.sizes) if moves else 0,
            budget=placement.budget,
            parts=len(placement.parts) if moves else 0,
            active=self._active,
            read=read,
            token_seconds=self.token_seconds,
            first_seconds=self.first_seconds(_PROMPT, is_first=True),
            bottleneck="disk" if from_disk > from_memory else "memory",
        )


def plan_run(folder: ModelFolder, config: Config, ram: int, rates: Rates) -> RunPlan:
    """Foretells a run; see `Forecast`."""
    return Forecast(folder, config, ram, rates).plan()


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


def _prompt_bytes(model: DecoderSpec, placement: Placement, tokens: int) -> int:
    """Bytes of moving parts that a prompt meets."""
    experts = _experts(model)
    if not experts:
        return sum(placement.sizes)
    met, _ = _active(model, placement)
    share = met / sum(placement.sizes)
    return int(sum(placement.sizes) * (1 - (1 - share) ** tokens))
