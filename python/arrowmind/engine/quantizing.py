"""The quantiser with the engine behind its calibration and its check: what `arrowmind.ArrowQuantizer` is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arrowmind.engine.calibration import observe_inputs
from arrowmind.engine.engine import ArrowEngine
from arrowmind.engine.moments import MomentObserver
from arrowmind.quantize import (
    ArrowQuantizer,
    Embedder,
    QuantizationConfig,
    register_calibrator,
    register_embedder,
    register_observer,
)

if TYPE_CHECKING:
    from pathlib import Path

    from arrowmind.quantize.foretelling import Foreteller

__all__ = ["ArrowQuantizer", "QuantizationConfig"]


def _open(path: Path) -> Embedder | Foreteller:
    engine = ArrowEngine(path, judge=False)
    return engine if engine.is_decoder else engine.encode


register_embedder(_open)
register_observer(observe_inputs)
register_calibrator(MomentObserver)
