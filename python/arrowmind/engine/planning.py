"""Says before a language model is opened where its bytes will be, and how fast it will be."""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Literal

from arrowmind.engine.bodies import Split
from arrowmind.engine.device_room import experts_of, routed_share
from arrowmind.engine.expert_rates import missing_share
from arrowmind.engine.opening import room_of
from arrowmind.engine.placing import cut_for, with_experts, with_prompts
from arrowmind.engine.residence import place
from arrowmind.frozen import dataclass

if TYPE_CHECKING:
    from arrowmind.config import Config
    from arrowmind.engine.device_room import DeviceRoom
    from arrowmind.engine.folder import ModelFolder
    from arrowmind.engine.rates import DeviceRates, Rates
    from arrowmind.engine.residence import Placement
    from arrowmind.models.decoder_spec import DecoderSpec

__all__ = ["DeviceShare", "Forecast", "RunPlan", "plan_run"]

_PROMPT = 128
_WAITS: tuple[Literal["memory", "disk", "device"], ...] = ("memory", "disk", "device")


@dataclass(frozen=True)
class DeviceShare:
    """What of a model a device is to have.

    Attributes:
        name: of the device.
        room: bytes that may be taken of it.
        counted: what the model takes there.
        rates: of the device.
    """

    name: str
    room: int
    counted: DeviceRoom
    rates: DeviceRates


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
        device: that has a part of the model; empty for none.
        vram: bytes that may be taken of it.
        device_bytes: that are taken.
        device_blocks: blocks there, the last ones.
        blocks: of the model.
        device_head: whether the head is there.
        experts_here: blocks there whose experts stay with the CPU.
        device_active: weights there that a token meets; they are part of `active`.
        prompt_rows: tokens of a prompt from which on the other blocks are sent there; 0: never.
        expert_room: bytes there for single experts of the CPU, brought as routes ask for them; not foretold.
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
    bottleneck: Literal["memory", "disk", "device"]
    device: str = ""
    vram: int = 0
    device_bytes: int = 0
    device_blocks: int = 0
    blocks: int = 0
    device_head: bool = False
    experts_here: int = 0
    device_active: int = 0
    prompt_rows: int = 0
    expert_room: int = 0

    def to_dict(self) -> dict[str, Any]:
        """For JSON; with tokens per second."""
        return {**asdict(self), "tokens_per_second": 1 / self.token_seconds}


class Forecast:
    """Foretells a run from what a token must read, from memory and from disk.

    Blocks are read while others compute, and experts that are guessed, too, if that is allowed: the slower of
    both decides. Of random routes, a part is there as often as the budget has room for it. What a device
    computes comes behind that, at its own rate.
    """

    def __init__(
        self,
        folder: ModelFolder,
        config: Config,
        ram: int,
        rates: Rates,
        device: DeviceShare | None = None,
    ) -> None:
        """Counts what the model needs in this process, as it is now.

        Args:
            folder: of the model, which is not open yet.
            config: how it is to run.
            ram: bytes that the process may have.
            rates: of this machine.
            device: that has a part of the model; None for none.

        Raises:
            MemoryBudgetError: the model cannot run in `ram`; the message says how much it needs.
            InvalidArgumentError: it is no language model, or not in a weights.arrow.
        """
        settings, self._model, self._rates = config.residency, folder.decoder, rates
        room = room_of(folder, config)
        self._placement = place(folder.weights, folder.decoder, room, ram, settings.max_layers)
        self._placement.check(folder.weights.path)
        ahead = settings.foresee if experts_of(self._model) > 0 else settings.ahead > 0
        self._in_turn = not (settings.overlap and ahead)
        self._met, self._active = _active(self._model, self._placement)
        self._device, self._split = device, _split(self._model, self._placement, device, config, rates)
        self._chunk = config.generation.prefill_chunk
        self._there = 0
        if device is not None and self._split is not None:
            # Counted with the room between tensors, which nobody meets.
            self._there = min(self._active, _active_there(self._model, device.counted, self._split))
            self._placement, self._met = _without(self._placement, self._met, self._model, self._split)

    @property
    def _read(self) -> int:
        """Bytes that are read from disk for a token."""
        return 0 if self._placement.fits else _missing(self._placement, self._met)

    @property
    def _here(self) -> int:
        """Bytes of weights that a token meets on the CPU."""
        return self._active - self._there

    @property
    def token_seconds(self) -> float:
        """For one token of one text."""
        return self._together(self._here / self._rates.memory, self._read / self._rates.disk) + self._away(1)

    def _away(self, prompt: int) -> float:
        """Seconds of so many tokens on the device."""
        if self._device is None:
            return 0.0
        rates = self._device.rates
        return max(self._there / rates.memory, self._there * prompt / rates.prompt if prompt > 1 else 0.0)

    def first_seconds(self, prompt: int, *, is_first: bool) -> float:
        """From a request to its first token.

        Args:
            prompt: tokens that are read for it.
            is_first: nothing was asked for before, so that nothing is in memory of what comes and goes.
        """
        read = 0 if self._placement.fits else _prompt_bytes(self._model, self._placement, prompt)
        if read and not is_first:
            read = _missing(self._placement, read)
        passed, passing = self._passing(prompt)
        left = self._here - passed
        once, whole = left / self._rates.memory, left * prompt / self._rates.prompt
        return self._together(max(once, whole) + passing, read / self._rates.disk) + self._away(prompt)

    def _passing(self, prompt: int) -> tuple[int, float]:
        """Of the bytes that a token meets on the CPU those that pass through the device instead; seconds."""
        if self._device is None or self._split is None or not 0 < self._split.prompt_rows <= prompt:
            return 0, 0.0
        rates, blocks = self._device.rates, self._device.counted.blocks
        before = blocks[: len(blocks) - self._split.blocks]
        share = routed_share(self._model)
        met = min(self._here, int(sum(one.always + share * one.experts for one in before)))
        sent = sum(one.always + one.experts for one in before) * math.ceil(prompt / self._chunk)
        return met, max(sent / rates.bus if rates.bus else 0.0, met * prompt / rates.prompt)

    def _together(self, compute: float, disk: float) -> float:
        return compute + disk if self._in_turn else max(compute, disk)

    def plan(self) -> RunPlan:
        """Where the bytes are, and the times."""
        placement, read = self._placement, self._read
        room, moves = placement.room, not placement.fits
        waits = {
            "memory": self._here / self._rates.memory,
            "disk": read / self._rates.disk,
            "device": self._away(1),
        }
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
            bottleneck=max(_WAITS, key=lambda what: waits[what]),
            **self._told_of_device(),
        )

    def _told_of_device(self) -> dict[str, Any]:
        blocks = len(self._model.blocks)
        if self._device is None:
            return {"blocks": blocks}
        split, counted = self._split, self._device.counted
        return {
            "device": self._device.name,
            "vram": self._device.room,
            "device_bytes": counted.taken_whole(self._device.room) if split is None else counted.taken(split),
            "device_blocks": blocks if split is None else split.blocks,
            "blocks": blocks,
            "device_head": split is None or split.head,
            "experts_here": 0 if split is None else split.experts_here,
            "device_active": self._there,
            "prompt_rows": 0 if split is None else split.prompt_rows,
            "expert_room": 0 if split is None else split.expert_room,
        }


def plan_run(
    folder: ModelFolder, config: Config, ram: int, rates: Rates, device: DeviceShare | None = None
) -> RunPlan:
    """Foretells a run; see `Forecast`."""
    return Forecast(folder, config, ram, rates, device).plan()


def _split(
    model: DecoderSpec, placement: Placement, device: DeviceShare | None, config: Config, rates: Rates
) -> Split | None:
    """What goes to a device; None where there is none."""
    if device is None:
        return None
    experts = placement.fits or experts_of(model) == 0
    counted, room = device.counted, device.room
    found = cut_for(counted, room, config.device.blocks, moves=not placement.fits, experts=experts)
    if found is None:
        return Split(len(model.blocks))
    known = (rates, device.rates)
    found = with_prompts(found, counted, room, model, config, known, experts=experts)
    missing = 0.0 if placement.fits else missing_share(placement.sizes, placement.budget)
    return with_experts(found, counted, room, model, config, known, missing)


def _active_there(model: DecoderSpec, counted: DeviceRoom, split: Split) -> int:
    """Bytes of weights on the device that a token meets."""
    share = routed_share(model)
    size = float(counted.head if split.head else 0)
    left = split.experts_here
    for one in counted.blocks[len(counted.blocks) - split.blocks :]:
        size += one.always
        if one.experts and left > 0:
            left -= 1
        else:
            size += share * one.experts
    return int(size)


def _without(placement: Placement, met: int, model: DecoderSpec, split: Split) -> tuple[Placement, int]:
    """The parts that still come and go beneath the CPU, and what a token meets of them."""
    if experts_of(model):
        return placement, met  # single ones are brought as routes repeat: random routes have none there
    first = len(model.blocks) - split.blocks
    kept = [
        (part, size)
        for part, size in zip(placement.parts, placement.sizes, strict=True)
        if part.place < first
    ]
    left = replace(placement, parts=tuple(part for part, _ in kept), sizes=tuple(size for _, size in kept))
    return left, sum(left.sizes)


def _active(model: DecoderSpec, placement: Placement) -> tuple[int, int]:
    """Bytes of moving parts, and of all weights, that one token meets."""
    met = routed_share(model) * sum(placement.sizes)
    # Of the tensors that stay a token meets all but the table it is looked up in; a tied head is a copy.
    return int(met), int(met) + placement.fixed


def _missing(placement: Placement, met: int) -> int:
    """Bytes of `met` that are not there: what does not fit, less one part that is on its way."""
    return int(met * missing_share(placement.sizes, placement.budget))


def _prompt_bytes(model: DecoderSpec, placement: Placement, tokens: int) -> int:
    """Bytes of moving parts that a prompt meets."""
    if not experts_of(model):
        return sum(placement.sizes)
    met, _ = _active(model, placement)
    share = met / sum(placement.sizes)
    return int(sum(placement.sizes) * (1 - (1 - share) ** tokens))
