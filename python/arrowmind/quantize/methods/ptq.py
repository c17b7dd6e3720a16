"""PTQ: each matrix by itself, rounded in the range that makes its squared error smallest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from arrowmind.quantize.matrix.codes import codes_of
from arrowmind.quantize.matrix.feedback import round_plainly
from arrowmind.quantize.methods.base import Outcome
from arrowmind.quantize.ptq import fit

if TYPE_CHECKING:
    from arrowmind.quantize.methods.base import Codes, Job

__all__ = ["NAME", "round_alone", "run"]

NAME = "ptq"


def run(job: Job) -> Outcome:
    """Quantises all matrices of ``job``."""
    outcome, total = Outcome(), len(job.grids)
    for name in job.grids:
        outcome.codes[name] = round_alone(job, name)
        job.progress(len(outcome.codes), total, NAME)
    return outcome


def round_alone(job: Job, name: str) -> Codes:
    """Quantises one matrix."""
    grid, matrix, entering = job.grids[name], job.matrix(name), job.inputs.get(name)
    importance = None if entering is None else entering.importance
    if grid.quant_type == "int8" and not job.config.pair_bound:
        return fit(matrix, job.config, importance)
    columns = np.ascontiguousarray(matrix.T)
    weight = np.ones(len(columns), np.float32) if importance is None else importance
    return codes_of(round_plainly(columns, grid, weight, pairs=job.config.pair_bound))
