"""Generation of text around a decoder: everything but the decoder itself.

::

    sampling   SamplingParameters; Sampler: a row of logits -> a token, by seed and position
"""

from __future__ import annotations

from arrowmind.generate.sampling import Choice, Sampler, SamplingParameters

__all__ = ["Choice", "Sampler", "SamplingParameters"]
