"""Opens the engine as the settings say."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from arrowmind.engine import ArrowEngine
from arrowmind.engine.calibration import observe_inputs
from arrowmind.engine.device import resolve_device
from arrowmind.engine.quantizing import open_calibrator, open_embedder

if TYPE_CHECKING:
    from pathlib import Path

    from arrowmind.cli.session import Session
    from arrowmind.quantize import CalibratorFactory, Embedder, EmbedderFactory, Observer
    from arrowmind.quantize.foretelling import Foreteller

__all__ = ["calibrator", "embedder", "observer", "open_engine"]

_SILENT_SECONDS = 1.0
"""Models that open faster show no bar."""


def open_engine(
    session: Session,
    model: str | Path | None = None,
    *,
    judge: bool = True,
    ram: str = "",
    vram: str = "",
    exact: bool = False,
) -> ArrowEngine:
    """The engine of a model folder.

    Args:
        session: Its settings choose device and threads.
        model: Model folder; None takes `model.path`.
        judge: False opens it whatever its precision report says.
        ram: Most memory of the process; empty takes `residency.ram`.
        vram: Most memory of the device; empty takes `device.vram`.
        exact: In float32, whatever `device.precision` says.

    Raises:
        WeightError: the folder cannot be used.
        PrecisionError: its precision report is below a threshold, and `precision.below` is `refuse`.
        DeviceError: the device is not to be had, and `device.fallback` is `error`.
        MemoryBudgetError: the model cannot run in `ram`.
    """
    settings = session.config.device
    device = resolve_device(settings.name, fallback=settings.fallback == "cpu")
    path = model or session.config.model.path
    threads = settings.threads or None
    config = session.config
    if exact:
        config = replace(config, device=replace(settings, precision="float32"))
    with session.progress(after=_SILENT_SECONDS) as progress:
        return ArrowEngine(
            path,
            device=device,
            threads=threads,
            config=config,
            judge=judge,
            ram=ram or None,
            vram=vram or None,
            on_progress=progress,
        )


def embedder(session: Session, *, exact: bool = False) -> EmbedderFactory:
    """What the precision check opens model folders with; `exact` as of `open_engine`."""

    def opened(path: Path) -> Embedder | Foreteller:
        engine = open_engine(session, path, judge=False, exact=exact)
        return open_embedder(engine)

    return opened


def calibrator() -> CalibratorFactory:
    """What methods that follow a model's inputs run it with."""
    return open_calibrator


def observer() -> Observer:
    """What calibration runs model folders with."""
    return observe_inputs
