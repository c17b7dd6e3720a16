"""From where on it pays to send blocks of the CPU over the bus: by what was measured."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from arrowmind.engine.device_room import routed_share

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arrowmind.engine.device_room import BlockSizes
    from arrowmind.engine.rates import DeviceRates, Rates
    from arrowmind.models.decoder_spec import DecoderSpec

__all__ = ["passing_rows"]

# What is not in the rates: states, keys and values that cross, launches, the first block that is waited for.
_WORTH = 1.25


def passing_rows(
    model: DecoderSpec, blocks: Sequence[BlockSizes], here: Rates | None, there: DeviceRates | None
) -> int:
    """Rows of a prompt from which on it pays to send blocks to a device; 0: it never does.

    The CPU multiplies all rows by a block in a time that grows with them; the bus takes as long for any
    number, and the device multiplies meanwhile.

    Args:
        model: what is computed.
        blocks: what they weigh.
        here: rates of the CPU; None where they were not measured.
        there: rates of the device, likewise.
    """
    if here is None or there is None or not blocks or math.isinf(here.prompt) or there.bus <= 0:
        return 0
    met = sum(one.always + routed_share(model) * one.experts for one in blocks)
    whole = sum(one.always + one.experts for one in blocks)
    row_here, row_there = met / here.prompt, met / there.prompt
    if row_here <= _WORTH * row_there:
        return 0
    return max(1, math.ceil(_WORTH * whole / there.bus / row_here))
