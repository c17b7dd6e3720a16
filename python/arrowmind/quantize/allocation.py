"""Widths per tensor for a budget: the bits go where the embeddings gain most by them.

What a tensor costs on a grid is measured: it alone is quantised, with feedback, and texts are embedded. The
costs of several tensors are taken to add up, which orders them well enough. Then each tensor starts on its
smallest grid, and upgrades are taken by what they gain per byte, as long as they fit.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from arrowmind.errors import QuantizationError
from arrowmind.observe import get_logger
from arrowmind.quantize.checkpoint import kept_of, part_name
from arrowmind.quantize.methods.base import Outcome
from arrowmind.quantize.methods.gptq import quantise_group
from arrowmind.quantize.stages import part_of
from arrowmind.weights.formats import Grid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from arrowmind.quantize.embedders import Calibrator, InputGroup
    from arrowmind.quantize.methods.base import Job

__all__ = ["CANDIDATES", "Choice", "allocate", "candidates_for", "measure", "solve"]

_log = get_logger("arrowmind.quantize")
_STAGE = "allocation"

CANDIDATES = (
    Grid("int2", 32, "u8", zero_points=True),
    Grid("int4", 32, "u8", zero_points=True),
    Grid("int8", 0, "fp32"),
)
_ROWS = CANDIDATES[-1]


class Choice(NamedTuple):
    """A grid for a tensor: its bytes, and the mean of 1 - cosine when only this tensor is quantised so."""

    grid: Grid
    bytes: int
    cost: float


def allocate(job: Job, budget: int) -> dict[str, Grid]:
    """Grids for all matrices of ``job`` whose bytes stay within ``budget``.

    Raises:
        QuantizationError: no engine is at hand, or the smallest grids do not fit.
    """
    if job.calibrator is None:
        raise QuantizationError("a budget needs an engine to measure tensors with, and none is at hand")
    candidates = candidates_for(job.config.grid)
    measured = measure(job, candidates)
    unseen = [name for name in job.grids if name not in measured]
    for name in unseen:  # of no effect on embeddings
        measured[name] = [Choice(candidates[0], _bytes(job, name, candidates[0]), 0.0)]
    chosen = solve(measured, budget)
    for name, choice in chosen.items():
        _log.info("grid chosen", tensor=name, type=choice.grid.quant_type, group=choice.grid.group_size)
    return {name: chosen[name].grid for name in job.grids}


def candidates_for(grid: Grid) -> tuple[Grid, ...]:
    """What the solver chooses from where ``grid`` is asked for.

    Codes of 2 bits stand beside those of 4 in groups of the same kind: which groups and zero points are worth
    their bits depends on the length of rows, and is the user's to say. Trellis codes stand beside each other,
    with scales of such groups and of whole rows: groups follow outliers, and rows take up to a ninth of a
    bit less. Scales of 8 bits and one of 32 for the row are fewer bits than the same of 16 in long rows.
    """
    if grid.code_type.trellis:
        rows, short = replace(grid, group_size=0, scale_type="fp16"), replace(grid, scale_type="u8")
        kinds = dict.fromkeys((rows, short, grid) if grid.group_size else (rows, grid))
        codes = (replace(kind, quant_type=code) for code in ("trellis2", "trellis3") for kind in kinds)
        return (*codes, CANDIDATES[1], _ROWS)
    if grid.quant_type != "int2":
        return CANDIDATES
    return (grid, replace(grid, quant_type="int4"), _ROWS)


def measure(job: Job, candidates: Sequence[Grid]) -> dict[str, list[Choice]]:
    """What each matrix costs on each grid, for those that the forward multiplies by."""
    if job.calibrator is None:
        return {}
    trials = _Trials(job, job.calibrator, tuple(candidates))
    for at in range(len(trials.blocks)):
        trials.measure_block(at)
    return {
        name: [
            Choice(grid, _bytes(job, name, grid), float(cost))
            for grid, cost in zip(candidates, costs, strict=True)
        ]
        for name, costs in trials.costs.items()
    }


class _Trials:
    """Every matrix on every candidate, alone in the original.

    Attributes:
        blocks: of the model, those with matrices on grids.
        costs: by matrix, float64 [candidates], the mean of 1 - cosine.
    """

    def __init__(self, job: Job, calibrator: Calibrator, candidates: tuple[Grid, ...]) -> None:
        groups = [group for group in calibrator.groups if any(name in job.grids for name in group.names)]
        self.blocks = [list(block) for _, block in groupby(groups, key=lambda group: group.block)]
        self.costs: dict[str, npt.NDArray[np.float64]] = {}
        self._job, self._calibrator, self._candidates = job, calibrator, candidates
        self._quick = replace(job.config, sweeps=0, act_order=False)
        self._kept = kept_of(job, _STAGE, candidates)
        self._total = len(candidates) * sum(name in job.grids for group in groups for name in group.names)

    @cached_property
    def _original(self) -> npt.NDArray[np.float32]:
        return self._calibrator.embeddings({})

    def measure_block(self, at: int) -> None:
        """Measures what is not kept of a block."""
        found = {group: self._kept.load(part_name(_STAGE, group.names)) for group in self.blocks[at]}
        for costs in filter(None, found.values()):
            self.costs.update(costs)
        missing = [group for group, costs in found.items() if costs is None]
        if not missing:
            return
        # A pass runs as many blocks as there are up to this one.
        passes = part_of(self._job.progress, [1 + block[0].block for block in self.blocks], at, "calibrating")
        for group, moments in zip(missing, self._calibrator.moments(missing, {}, passes), strict=True):
            costs = self._measure(group, moments)
            self._kept.save(part_name(_STAGE, group.names), costs)
            self.costs.update(costs)

    def _measure(
        self, group: InputGroup, moments: npt.NDArray[np.float64]
    ) -> dict[str, npt.NDArray[np.float64]]:
        costs: dict[str, list[float]] = {}
        done = len(self._candidates) * len(self.costs)
        for grid in self._candidates:
            outcome = Outcome()
            job = replace(self._job, grids=dict.fromkeys(self._job.grids, grid), config=self._quick)
            quantise_group(job, outcome, group, moments)
            for name, stand in outcome.replaced(job).items():
                cosines = (self._calibrator.embeddings({name: stand}) * self._original).sum(axis=1)
                costs.setdefault(name, []).append(max(0.0, float(1 - cosines.mean())))
                done += 1
                self._job.progress(done, self._total, "measuring")
        return {name: np.array(values) for name, values in costs.items()}


def solve(measured: Mapping[str, Sequence[Choice]], budget: int) -> dict[str, Choice]:
    """The choices of least total cost, nearly, whose bytes stay within ``budget``.

    Args:
        measured: by tensor, at least one choice each.
        budget: in bytes.

    Raises:
        QuantizationError: the smallest choices exceed the budget.
    """
    hulls = {name: _hull(choices) for name, choices in measured.items()}
    chosen = {name: hull[0] for name, hull in hulls.items()}
    spent = sum(choice.bytes for choice in chosen.values())
    if spent > budget:
        raise QuantizationError(
            f"a budget of {budget} bytes for matrices is too small: their smallest grids take {spent}; "
            "raise it, or keep fewer tensors"
        )
    # On a convex hull each upgrade gains less per byte than the one before: the best of all comes first.
    upgrades = sorted(
        (-_slope(one, two), name, at)
        for name, hull in hulls.items()
        for at, (one, two) in enumerate(pairwise(hull))
    )
    closed: set[str] = set()
    for _, name, at in upgrades:
        one, two = hulls[name][at], hulls[name][at + 1]
        if name in closed or spent + two.bytes - one.bytes > budget:
            closed.add(name)
            continue
        chosen[name] = two
        spent += two.bytes - one.bytes
    return chosen


def _hull(choices: Sequence[Choice]) -> list[Choice]:
    """Choices worth having: more bytes for less cost, each step gaining less per byte than the one before."""
    hull: list[Choice] = []
    for choice in sorted(choices, key=lambda choice: (choice.bytes, choice.cost)):
        if hull and choice.cost >= hull[-1].cost:
            continue
        while len(hull) > 1 and _slope(hull[-1], choice) >= _slope(hull[-2], hull[-1]):
            hull.pop()
        hull.append(choice)
    return hull


def _slope(one: Choice, two: Choice) -> float:
    return (one.cost - two.cost) / max(1, two.bytes - one.bytes)


def _bytes(job: Job, name: str, grid: Grid) -> int:
    n, k = job.weights.spec(name).shape
    if grid.quant_type == "int8":  # a scale, a zero point and a sum of codes per row
        return int(n * k + 12 * n)
    return int(np.ceil(grid.bits_per_weight(n, k) * n * k / 8))
