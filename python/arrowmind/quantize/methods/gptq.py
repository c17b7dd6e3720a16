"""GPTQ: error feedback with the moments of the inputs that the quantised model itself produces.

Block after block, in the order of the forward: the inputs of a block's matrices are observed in the model
whose earlier matrices stand on their grids already. After the feedback, coordinate descent moves codes,
scales and zero points.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from arrowmind.errors import QuantizationError
from arrowmind.observe import get_logger
from arrowmind.quantize.checkpoint import kept_of, part_name
from arrowmind.quantize.matrix.bound import side_by_side
from arrowmind.quantize.matrix.codes import codes_of
from arrowmind.quantize.matrix.feedback import round_with_feedback
from arrowmind.quantize.matrix.hessian import damped, feedback_factor
from arrowmind.quantize.matrix.refine import refine
from arrowmind.quantize.methods.base import Outcome
from arrowmind.quantize.methods.ptq import round_alone
from arrowmind.quantize.stages import part_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from arrowmind.quantize.checkpoint import Kept
    from arrowmind.quantize.config import QuantizationConfig
    from arrowmind.quantize.embedders import InputGroup
    from arrowmind.quantize.matrix.feedback import Rounded
    from arrowmind.quantize.methods.base import Job
    from arrowmind.weights.formats import Grid

__all__ = ["NAME", "quantise_group", "round_matrix", "run"]

NAME = "gptq"

_log = get_logger("arrowmind.quantize")


def run(job: Job) -> Outcome:
    """Quantises all matrices of ``job``.

    Raises:
        QuantizationError: no engine is at hand.
    """
    if job.calibrator is None:
        raise QuantizationError(
            "gptq needs an engine to run the model on calibration texts, and none is at hand; "
            "use calibration 'ptq'"
        )
    outcome, kept = Outcome(), kept_of(job, NAME)
    groups = [group for group in job.calibrator.groups if any(name in job.grids for name in group.names)]
    _round_unseen(job, outcome, groups)
    blocks = [list(block) for _, block in groupby(groups, key=lambda group: group.block)]
    for at in range(len(blocks)):
        _quantise_block(job, outcome, kept, blocks, at)
    return outcome


def _quantise_block(
    job: Job, outcome: Outcome, kept: Kept, blocks: Sequence[Sequence[InputGroup]], at: int
) -> None:
    """Quantises what is not kept of a block, in the model whose earlier blocks are quantised."""
    if job.calibrator is None:  # run() has refused that
        return
    before, missing = outcome.replaced(job), []
    for group in blocks[at]:
        found = kept.load_codes(part_name(NAME, group.names), job.grids)
        outcome.codes.update(found or {})
        if found is None:
            missing.append(group)
    job.progress(len(outcome.codes), len(job.grids), NAME)
    if not missing:
        return
    # A pass runs as many blocks as there are up to this one.
    passes = part_of(job.progress, [1 + block[0].block for block in blocks], at, "calibrating")
    for group, hessian in zip(missing, job.calibrator.moments(missing, before, passes), strict=True):
        quantise_group(job, outcome, group, hessian)
        names = [name for name in group.names if name in job.grids]
        kept.save_codes(part_name(NAME, group.names), {name: outcome.codes[name] for name in names})
        job.progress(len(outcome.codes), len(job.grids), NAME)


def round_matrix(
    matrix: npt.NDArray[np.float32],
    grid: Grid,
    hessian: npt.NDArray[np.float64],
    config: QuantizationConfig,
    name: str = "",
) -> Rounded:
    """Rounds one matrix, or several that read one input on top of each other.

    Args:
        matrix: float32 [n, k].
        grid: where to.
        hessian: float64 [k, k], mean of x x^T.
        config: damping, order of the columns, bound of pairs, sweeps.
        name: for the log.
    """
    together = config.together
    place = side_by_side(matrix.shape[1], together)
    columns, hessian = np.ascontiguousarray(matrix.T[place]), hessian[np.ix_(place, place)]
    order = _order(hessian, together=together) if config.act_order else None
    factored = hessian if order is None else hessian[np.ix_(order, order)]
    factor = feedback_factor(factored, config.damping, name)
    rounded = round_with_feedback(columns, factor, grid, order=order, together=together)
    refine(rounded, columns, damped(hessian, config.damping).astype(np.float32), config.sweeps)
    rounded.levels = rounded.levels[np.argsort(place)]
    return rounded


def quantise_group(job: Job, outcome: Outcome, group: InputGroup, hessian: npt.NDArray[np.float64]) -> None:
    """Quantises the matrices of a group that the job names, into ``outcome``.

    Args:
        job: says where each goes, and how its inputs are scaled.
        outcome: gets their codes.
        group: of matrices over one input.
        hessian: float64 [k, k], mean of x x^T over that input, before it is scaled.
    """
    names = [name for name in group.names if name in job.grids]
    scale = job.input_scale(names[0])
    if scale is not None:
        wide = scale.astype(np.float64)
        hessian = hessian * wide * wide[:, None]
    for grid in dict.fromkeys(job.grids[name] for name in names):
        alike = [name for name in names if job.grids[name] == grid]
        matrices = [job.matrix(name) for name in alike]
        rounded = round_matrix(np.concatenate(matrices), grid, hessian, job.config, alike[0])
        begin = 0
        for name, matrix in zip(alike, matrices, strict=True):
            outcome.codes[name] = codes_of(rounded, slice(begin, begin + len(matrix)))
            begin += len(matrix)


def _order(hessian: npt.NDArray[np.float64], *, together: int) -> npt.NDArray[np.intp]:
    """Columns by falling power of their inputs, so many neighbours together; a rest of fewer comes last."""
    power = np.diagonal(hessian)
    whole = len(power) // together * together
    first = together * np.argsort(-power[:whole].reshape(-1, together).sum(axis=1), kind="stable")
    groups = first[:, None] + np.arange(together)
    return np.concatenate([groups.reshape(-1), np.arange(whole, len(power))])


def _round_unseen(job: Job, outcome: Outcome, groups: list[InputGroup]) -> None:
    """Matrices that the forward does not multiply by (heads of other tasks) have no inputs to go by."""
    seen = {name for group in groups for name in group.names}
    for name in job.grids:
        if name not in seen:
            _log.info("no inputs of a matrix are seen; rounded by itself", tensor=name)
            outcome.codes[name] = round_alone(job, name)
