"""PTQ: each matrix by itself, rounded in the range that makes its squared error smallest."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from arrowmind.quantize.checkpoint import kept_of
from arrowmind.quantize.matrix.codes import codes_of
from arrowmind.quantize.matrix.feedback import round_plainly
from arrowmind.quantize.methods.base import Outcome
from arrowmind.quantize.ptq import fit

if TYPE_CHECKING:
    from arrowmind.quantize.checkpoint import Kept
    from arrowmind.quantize.methods.base import Codes, Job
    from arrowmind.weights.formats import Grid

__all__ = ["NAME", "round_alone", "run"]

NAME = "ptq"

_KEEP_SECONDS = 20


def run(job: Job) -> Outcome:
    """Quantises all matrices of ``job``."""
    outcome, kept = Outcome(), kept_of(job, NAME)
    _go_on(job, outcome, kept)
    fresh: dict[str, Codes] = {}
    saved = time.monotonic()
    try:
        for name in job.grids:
            job.progress(len(outcome.codes), len(job.grids), NAME)
            if name not in outcome.codes:
                outcome.codes[name] = fresh[name] = round_alone(job, name)
            if time.monotonic() - saved > _KEEP_SECONDS:
                _keep(kept, outcome, fresh)
                saved = time.monotonic()
    except KeyboardInterrupt:
        _keep(kept, outcome, fresh)
        raise
    job.progress(len(job.grids), len(job.grids), NAME)
    return outcome


def _keep(kept: Kept, outcome: Outcome, fresh: dict[str, Codes]) -> None:
    """Keeps the codes found since the last time; parts are named by the number of matrices before them."""
    if fresh:
        kept.save_codes(f"{NAME}-{len(outcome.codes) - len(fresh)}", fresh)
        fresh.clear()


def _go_on(job: Job, outcome: Outcome, kept: Kept) -> None:
    """Takes the codes that an interrupted run kept."""
    while (found := kept.load_codes(f"{NAME}-{len(outcome.codes)}", job.grids)) is not None:
        outcome.codes.update(found)


def round_alone(job: Job, name: str, grid: Grid | None = None) -> Codes:
    """Quantises one matrix, onto the grid of the job or another."""
    grid, matrix, entering = grid or job.grids[name], job.matrix(name), job.inputs.get(name)
    importance = None if entering is None else entering.importance
    if grid.quant_type == "int8" and not job.config.pair_bound:
        return fit(matrix, job.config, importance)
    columns = np.ascontiguousarray(matrix.T)
    weight = np.ones(len(columns), np.float32) if importance is None else importance
    return codes_of(round_plainly(columns, grid, weight, together=job.config.together))
