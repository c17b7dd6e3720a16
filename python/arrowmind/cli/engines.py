"""Opens the engine as the settings say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arrowmind.engine import ArrowEngine
from arrowmind.engine.calibration import observe_inputs
from arrowmind.engine.device import resolve_device
from arrowmind.engine.moments import MomentObserver

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from arrowmind.cli.session import Session
    from arrowmind.quantize import CalibratorFactory, Observer

__all__ = ["calibrator", "embedder", "observer", "open_engine"]


def open_engine(session: Session, model: str | Path | None = None, *, judge: bool = True) -> ArrowEngine:
    """The engine of a model folder.

    Args:
        session: Its settings choose device and threads.
        model: Model folder; None takes `model.path`.
        judge: False opens it whatever its precision report says.

    Raises:
        WeightError: the folder cannot be used.
        PrecisionError: its precision report is below a threshold, and `precision.below` is `refuse`.
        DeviceError: the device is not to be had, and `device.fallback` is `error`.
    """
    settings = session.config.device
    device = resolve_device(settings.name, fallback=settings.fallback == "cpu")
    path = model or session.config.model.path
    threads = settings.threads or None
    return ArrowEngine(path, device=device, threads=threads, config=session.config, judge=judge)


def embedder(session: Session) -> Callable[[Path], Callable[[list[str]], NDArray[np.float32]]]:
    """What the precision check opens model folders with."""
    return lambda path: open_engine(session, path, judge=False).encode


def calibrator() -> CalibratorFactory:
    """What methods that follow a model's inputs run it with."""
    return MomentObserver


def observer() -> Observer:
    """What calibration runs model folders with."""
    return observe_inputs
