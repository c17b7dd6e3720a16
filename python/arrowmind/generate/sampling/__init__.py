"""Which token comes next: parameters, the chain from logits to a token, and its random numbers."""

from __future__ import annotations

from arrowmind.generate.sampling.candidates import (
    MOST_CANDIDATES,
    CandidateNeed,
    CandidateRow,
    Candidates,
)
from arrowmind.generate.sampling.parameters import SamplingParameters
from arrowmind.generate.sampling.peaks import Peak, Peaks
from arrowmind.generate.sampling.sampler import Choice, Sampler

__all__ = [
    "MOST_CANDIDATES",
    "CandidateNeed",
    "CandidateRow",
    "Candidates",
    "Choice",
    "Peak",
    "Peaks",
    "Sampler",
    "SamplingParameters",
]
