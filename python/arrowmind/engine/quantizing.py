"""The quantiser with the engine behind its calibration and its check: what `arrowmind.ArrowQuantizer` is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arrowmind.engine.calibration import observe_inputs
from arrowmind.engine.engine import ArrowEngine
from arrowmind.engine.folder import ModelFolder
from arrowmind.engine.moments import MomentObserver
from arrowmind.engine.sense_quantising import SenseEmbedder, SenseMoments
from arrowmind.quantize import (
    ArrowQuantizer,
    Embedder,
    QuantizationConfig,
    register_calibrator,
    register_embedder,
    register_observer,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from arrowmind.quantize import Calibrator
    from arrowmind.quantize.foretelling import Foreteller

__all__ = ["ArrowQuantizer", "QuantizationConfig", "open_calibrator", "open_embedder"]


def open_embedder(engine: ArrowEngine) -> Embedder | Foreteller:
    """What the precision check runs of an opened model."""
    if engine.is_decoder:
        return engine
    return SenseEmbedder(engine) if engine.has_senses else engine.encode


def open_calibrator(path: Path, texts: Sequence[str]) -> Calibrator:
    """What runs the model folder at `path` over calibration texts, or the samples they stand for."""
    folder = ModelFolder(path)
    return SenseMoments(folder, texts) if folder.has_senses else MomentObserver(path, texts)


def _open(path: Path) -> Embedder | Foreteller:
    return open_embedder(ArrowEngine(path, judge=False))


register_embedder(_open)
register_observer(observe_inputs)
register_calibrator(open_calibrator)
