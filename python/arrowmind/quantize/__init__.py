"""Quantisation: schemes, post-training quantisation, the precision check.

::

    config, scheme, ptq     choices; codes for numbers; the best range for them
    quantizer               a model folder -> a smaller one, checked before it appears
    precision, probes       the check, and the texts it embeds
    embedders               where the engine registers itself for the check
"""

from __future__ import annotations

from arrowmind.quantize.config import QuantizationConfig
from arrowmind.quantize.embedders import Embedder, EmbedderFactory, register_embedder
from arrowmind.quantize.precision import PrecisionReport, Thresholds, check, validate
from arrowmind.quantize.quantizer import ArrowQuantizer

__all__ = [
    "ArrowQuantizer",
    "Embedder",
    "EmbedderFactory",
    "PrecisionReport",
    "QuantizationConfig",
    "Thresholds",
    "check",
    "register_embedder",
    "validate",
]
