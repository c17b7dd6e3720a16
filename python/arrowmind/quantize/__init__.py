"""Quantisation: schemes, post-training quantisation, the precision check.

::

    config                  choices
    scheme, ptq             int8 with a scale per row: codes for numbers; the best range for them
    methods                 ptq, gptq: how matrices find their codes, one file each
    matrix                  one matrix onto a grid
    overlay                 the model as it is while it is being quantised
    smoothing               scales of inputs, from calibration
    incoherence             a decoder's residual stream in coordinates where no column stands out
    allocation, swapping    widths per tensor for a budget; wider ones for what is below a threshold
    quantizer               a model folder -> a smaller one, checked before it appears
    original, storing       the model as it is read while it is quantised; what the result holds
    calibration             which texts show what enters the matrices
    state, checkpoint       what interrupted work goes on from
    precision               the check
    measures, report        its figures; what it tells, and the weight file keeps
    explanation             format, bits and error of each tensor of a model, and its certificate
    probes, calibration_texts  what the check embeds; what the original is calibrated on
    embedders               where the engine registers itself for both
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from arrowmind.quantize.config import QuantizationConfig
    from arrowmind.quantize.embedders import (
        Calibrator,
        CalibratorFactory,
        Embedder,
        EmbedderFactory,
        InputGroup,
        Observer,
        register_calibrator,
        register_embedder,
        register_observer,
    )
    from arrowmind.quantize.explanation import Explanation, explain
    from arrowmind.quantize.overlay import HasValues, Overlay
    from arrowmind.quantize.precision import check, validate
    from arrowmind.quantize.quantizer import ArrowQuantizer
    from arrowmind.quantize.report import PrecisionReport, Thresholds
    from arrowmind.quantize.smoothing import InputStatistics

__all__ = [
    "ArrowQuantizer",
    "Calibrator",
    "CalibratorFactory",
    "Embedder",
    "EmbedderFactory",
    "Explanation",
    "HasValues",
    "InputGroup",
    "InputStatistics",
    "Observer",
    "Overlay",
    "PrecisionReport",
    "QuantizationConfig",
    "Thresholds",
    "check",
    "explain",
    "register_calibrator",
    "register_embedder",
    "register_observer",
    "validate",
]

_HOMES = {
    "ArrowQuantizer": "quantizer",
    "Calibrator": "embedders",
    "CalibratorFactory": "embedders",
    "Embedder": "embedders",
    "EmbedderFactory": "embedders",
    "Explanation": "explanation",
    "HasValues": "overlay",
    "InputGroup": "embedders",
    "InputStatistics": "smoothing",
    "Observer": "embedders",
    "Overlay": "overlay",
    "PrecisionReport": "report",
    "QuantizationConfig": "config",
    "Thresholds": "report",
    "check": "precision",
    "explain": "explanation",
    "register_calibrator": "embedders",
    "register_embedder": "embedders",
    "register_observer": "embedders",
    "validate": "precision",
}


def __getattr__(name: str) -> Any:
    # What reads a report, the engine above all, does without the quantiser.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
