"""What goes on beside a language model that is open: speeds compared, memory counted and given back."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from arrowmind.engine.comparing import Witness
from arrowmind.engine.measurements import known_device, known_rates
from arrowmind.engine.memory_left import MemoryLeft
from arrowmind.engine.planning import Forecast
from arrowmind.engine.pressure import PressureWatch, ResidencyHolder
from arrowmind.engine.sharing import machine_bytes, share_of
from arrowmind.engine.telemetry import Telemetry

if TYPE_CHECKING:
    from arrowmind.config import Config
    from arrowmind.engine.decoding import CachedDecoder
    from arrowmind.engine.folder import ModelFolder
    from arrowmind.engine.language import LanguageModel
    from arrowmind.engine.on_device import DeviceHost

__all__ = ["Overseer"]


class Overseer:
    """Knows a language model from before it is opened until it is closed. Does not know its engine."""

    def __init__(
        self,
        folder: ModelFolder,
        config: Config,
        ram: int | None,
        threads: int,
        host: DeviceHost | None = None,
    ) -> None:
        """Foretells, where a budget is given and this machine was measured, while the process is small.

        Args:
            folder: of the model, which is not open yet.
            config: how it runs.
            ram: bytes that the process may have; None for no bound.
            threads: that it runs on.
            host: of the device that has a part of it; None for none.

        Raises:
            MemoryBudgetError: the model cannot run in `ram`.
        """
        self._folder, self._settings, self._ram = folder, config.residency, ram
        self._name = folder.path.name
        self.witness = Witness(_forecast(folder, config, ram, threads, host), self._name)
        self._holder: ResidencyHolder | None = None
        self._watch: PressureWatch | None = None
        self.telemetry: Telemetry | None = None

    def follow(self, language: LanguageModel) -> None:
        """The model is open."""
        residence = language.residence
        self.telemetry = Telemetry(self._folder, language, self._ram)
        self._holder = ResidencyHolder(None if residence is None else residence.weights.residency)
        if self._ram is not None and self._settings.pressure:
            self._watch = PressureWatch(self._holder, MemoryLeft(), self._settings, self._name, self._ram)
            self._watch.start()

    def add_cache(self, decoder: CachedDecoder) -> None:
        """Another cache of keys and values."""
        if self._holder is not None and self.telemetry is not None:
            self._holder.add_cache(weakref.ref(decoder))
            self.telemetry.add_cache(weakref.ref(decoder))

    def close(self) -> None:
        """Ends what goes on."""
        if self._watch is not None:
            self._watch.stop()
        if self.telemetry is not None:
            self.telemetry.close()


def _forecast(
    folder: ModelFolder, config: Config, ram: int | None, threads: int, host: DeviceHost | None
) -> Forecast | None:
    """Of a run with a budget; None without one, and where machine or device were never measured."""
    if ram is None and not (host is not None and host.vram):
        return None
    rates = known_rates(folder.weights.path, threads)
    if rates is None:
        return None
    share = None
    if host is not None:
        there = known_device(host.name)
        share = None if there is None else share_of(host, folder, config, there)
        if share is None:
            return None
    return Forecast(folder, config, machine_bytes() if ram is None else ram, rates, share)
