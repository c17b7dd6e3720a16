"""Quantisation: schemes, post-training quantisation, the precision check.

::

    config, scheme, ptq     choices; codes for numbers; the best range for them
    smoothing               scales of inputs, from calibration
    quantizer               a model folder -> a smaller one, checked before it appears
    precision               the check
    probes, calibration_texts  what the check embeds; what the original is calibrated on
    embedders               where the engine registers itself for both
"""

from __future__ import annotations

from arrowmind.quantize.config import QuantizationConfig
from arrowmind.quantize.embedders import (
    Embedder,
    EmbedderFactory,
    Observer,
    register_embedder,
    register_observer,
)
from arrowmind.quantize.precision import PrecisionReport, Thresholds, check, validate
from arrowmind.quantize.quantizer import ArrowQuantizer
from arrowmind.quantize.smoothing import InputStatistics

__all__ = [
    "ArrowQuantizer",
    "Embedder",
    "EmbedderFactory",
    "InputStatistics",
    "Observer",
    "PrecisionReport",
    "QuantizationConfig",
    "Thresholds",
    "check",
    "register_embedder",
    "register_observer",
    "validate",
]
