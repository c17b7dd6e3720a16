"""Chooses what of a language model is on its device, by what the device has room for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from arrowmind.engine.bodies import Split
from arrowmind.engine.cache_settings import PAGEWISE_FORMATS
from arrowmind.engine.device_room import count_room, experts_of
from arrowmind.engine.expert_rates import NEVER, worth_bringing
from arrowmind.engine.passing_rates import passing_rows
from arrowmind.observe import get_logger

if TYPE_CHECKING:
    from arrowmind.config import Config
    from arrowmind.engine.device_room import DeviceRoom
    from arrowmind.engine.folder import ModelFolder
    from arrowmind.engine.forward_room import ForwardBound, ForwardRoom
    from arrowmind.engine.on_device import DeviceHost
    from arrowmind.engine.rates import DeviceRates, Rates
    from arrowmind.engine.residence import Residence
    from arrowmind.models.decoder_spec import DecoderSpec

__all__ = ["choose_split", "cut_for", "room_on_device", "told", "with_experts", "with_prompts"]

_log = get_logger("arrowmind.engine")
# Bytes of a number in a cache, with its part of a scale.
_VALUE_BYTES = {"fp32": 4.0, "fp16": 2.0, "int8": 1.25, "k4v4": 0.625, "k4v3": 0.5625}
# Tokens that are in fp16 beside small pages, but for those that come: the first, the last, parts of pages.
_FULL_TOKENS = 64 * 6
_PAGE = 64
_ENDLESS = 1 << 60


def room_on_device(
    folder: ModelFolder, config: Config, forwards: ForwardRoom, bound: ForwardBound
) -> DeviceRoom:
    """What the decoder of a folder takes there, with its forwards, of which one is within `bound`."""
    settings = config.generation
    tokens = (settings.cache_tokens or folder.max_tokens) + _PAGE
    value_bytes = _VALUE_BYTES.get(settings.cache_format, 0.0)  # a format nobody knows is refused later
    if settings.cache_format in PAGEWISE_FORMATS:
        value_bytes += (_FULL_TOKENS + settings.prefill_chunk) * _VALUE_BYTES["fp16"] / tokens
    return count_room(folder.decoder, folder.weights, tokens, value_bytes, forwards, bound)


def cut_for(counted: DeviceRoom, room: int, most: int, *, moves: bool, experts: bool) -> Split | None:
    """What goes to a device; None where all does, the table of embeddings, too.

    Args:
        counted: what the model takes there.
        room: bytes that may be taken.
        most: blocks, at most; -1: as many as fit.
        moves: whether matrices come and go.
        experts: whether experts may go there.
    """
    if not moves and most < 0 and counted.whole <= room:
        return None
    return counted.split(room, most, experts=experts)


def with_prompts(
    split: Split,
    counted: DeviceRoom,
    room: int,
    model: DecoderSpec,
    config: Config,
    rates: tuple[Rates | None, DeviceRates | None],
    *,
    experts: bool,
) -> Split:
    """The same, with room for blocks of the CPU that pass through for prompts, where that is wanted and pays.

    Asked for, it is done wherever a block stays there; of itself it takes `device.prompt_share` at most.

    Args:
        split: what goes there without.
        counted: what the model takes there.
        room: bytes that may be taken.
        model: what is computed.
        config: how it runs.
        rates: of the CPU and of the device, as far as they are known.
        experts: whether experts may go there; where they come and go beneath the CPU, none pass.
    """
    before, asked = len(counted.blocks) - split.blocks, config.device.prompt_rows
    if not before or not split.blocks or asked == 0 or not experts:
        return split
    rows = asked if asked > 0 else passing_rows(model, counted.blocks[:before], *rates)
    if not 0 < rows <= config.generation.prefill_chunk:
        return split
    fewer = counted.split(room - counted.passing, config.device.blocks, experts=experts)
    is_small = asked > 0 or counted.passing <= config.device.prompt_share * counted.taken(split)
    if not is_small or not fewer.blocks or fewer.head != split.head:
        return split
    sent = sum(one.always + one.experts for one in counted.blocks[: len(counted.blocks) - fewer.blocks])
    return fewer._replace(prompt_rows=rows, prompt_bytes=sent)


def with_experts(
    split: Split,
    counted: DeviceRoom,
    room: int,
    model: DecoderSpec,
    config: Config,
    rates: tuple[Rates | None, DeviceRates | None],
    missing: float = 0.0,
) -> Split:
    """The same, with what is left of the room for single experts of the CPU, where that is wanted and pays.

    Args:
        split: what goes there without.
        counted: what the model takes there.
        room: bytes that may be taken.
        model: what is computed.
        config: how it runs.
        rates: of the CPU and of the device, as far as they are known.
        missing: share of the experts that is not in memory; 0 where all stay there.
    """
    if not split.experts_here:
        return split
    one = max(block.experts for block in counted.blocks) / experts_of(model)
    asked, left = config.device.expert_threshold, room - counted.taken(split)
    threshold = worth_bringing(one, *rates, missing) if asked < 0 else asked
    if threshold >= NEVER or left < one:
        return split
    return split._replace(expert_room=left, expert_threshold=threshold)


def choose_split(
    folder: ModelFolder,
    config: Config,
    host: DeviceHost,
    residence: Residence | None,
    forwards: ForwardRoom,
    rates: tuple[Rates | None, DeviceRates | None] = (None, None),
) -> Split | None:
    """What of the decoder of a folder goes to the device of `host`, which is told how much it may take.

    Args:
        folder: of the model.
        config: how it runs.
        host: of the device.
        residence: of matrices that come and go; None where all stay in memory.
        forwards: what they take.
        rates: of the CPU and of the device, as far as they are known.

    Returns:
        None where all of it goes there. No block, and no head, where it has no room for either.

    Raises:
        DeviceError: the device failed, and the host does not fall back.
    """
    room = host.room()
    counted = room_on_device(folder, config, forwards, host.forwards)
    may_take = (host.vram or _ENDLESS) if room is None else room
    experts = residence is None or not residence.moves_experts
    split = cut_for(counted, may_take, config.device.blocks, moves=residence is not None, experts=experts)
    if split is not None:
        split = with_prompts(split, counted, may_take, folder.decoder, config, rates, experts=experts)
    if split is not None:
        missing = 0.0 if residence is None else residence.missing
        split = with_experts(split, counted, may_take, folder.decoder, config, rates, missing)
    blocks = len(folder.decoder.blocks)
    wider = counted.widened(may_take) if split is None else 0
    if room is not None:
        host.limit_forwards(counted.forward + wider)
    if split is None:
        host.placement = told(Split(blocks), blocks)
        return None
    if room is not None:
        host.bound(room)
    host.placement = told(split, blocks)
    _log.info("a part of the model goes to the device", device=host.name, room=room, **host.placement)
    if None in rates and -1 in (config.device.prompt_rows, config.device.expert_threshold):
        remedy = "`arrowmind plan MODEL --vram SIZE` measures both once"
        _log.info("machine or device was never measured: nothing is sent there by rates", remedy=remedy)
    if split.blocks == 0 and not split.head:
        least = counted.scratch + min(counted.head, counted.blocks[-1].always + counted.blocks[-1].cache)
        host.refuse(f"{room} bytes hold neither a block nor the head; {least} are needed for the smaller")
    return split


def told(split: Split, blocks: int) -> dict[str, Any]:
    """For people: how many blocks are there, of how many; whether the head is; whose experts are not.

    And from how many rows of a prompt on the others pass through it; 0: never; and the bytes for experts that
    are brought one by one.
    """
    return {
        "blocks": split.blocks,
        "of_blocks": blocks,
        "head": split.head,
        "blocks_whose_experts_stay": split.experts_here,
        "prompt_rows": split.prompt_rows,
        "expert_room": split.expert_room,
    }
