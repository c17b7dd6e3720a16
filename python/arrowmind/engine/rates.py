"""How fast a machine and a device of it read weights."""

from __future__ import annotations

import math

from arrowmind.frozen import dataclass

__all__ = ["DeviceRates", "Rates"]


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
class DeviceRates:
    """Bytes of weights per second on a device.

    Attributes:
        memory: that a product with one row reads.
        prompt: that a product with many rows meets, times its rows.
        bus: that blocks send there which stay with the host; 0 where it was not measured.
    """

    memory: float
    prompt: float
    bus: float = 0.0
