"""What a device would have of a model, for who foretells a run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from arrowmind.engine.opening import device_forwards
from arrowmind.engine.placing import room_on_device
from arrowmind.engine.planning import DeviceShare

if TYPE_CHECKING:
    from arrowmind.config import Config
    from arrowmind.engine.folder import ModelFolder
    from arrowmind.engine.on_device import DeviceHost
    from arrowmind.engine.rates import DeviceRates

__all__ = ["machine_bytes", "share_of"]


def share_of(host: DeviceHost, folder: ModelFolder, config: Config, rates: DeviceRates) -> DeviceShare | None:
    """What the device of `host` may have of a folder's decoder; None where it does not say how full it is.

    Raises:
        DeviceError: it failed, and the host does not fall back.
    """
    room = host.room()
    if room is None:
        return None
    counted = room_on_device(folder, config, device_forwards(folder, config), host.forwards)
    return DeviceShare(host.name, room, counted, rates)


def machine_bytes() -> int:
    """Memory of this machine: the budget of who gives none."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
