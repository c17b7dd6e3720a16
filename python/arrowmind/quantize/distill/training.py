"""The training itself: the quantised model learns to do what the original does, on any text.

Latent values, scales, zero points, biases and norms all learn, with a rate that rises over the first steps
and falls along a half cosine. What is brought together, and on which tokens, is the caller's.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Protocol

import torch

from arrowmind.observe import get_logger
from arrowmind.quantize.checkpoint import CHECKPOINT, load_arrays, save_arrays
from arrowmind.quantize.distill.gradients import backward
from arrowmind.quantize.distill.side_by_side import SideBySide
from arrowmind.quantize.methods.base import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import numpy.typing as npt

    from arrowmind.quantize.distill.latent import Latent
    from arrowmind.quantize.distill.objective import Objective
    from arrowmind.quantize.distill.schedule import Schedule
    from arrowmind.quantize.methods.base import Job

__all__ = ["Steps", "Student", "train"]

_log = get_logger("arrowmind.quantize")
_CHECKPOINT_SECONDS = 60.0
_USUAL_SPREAD = 0.05


class Steps(Protocol):
    """Token ids by step."""

    def __getitem__(self, step: int) -> list[list[int]]:
        """Those of a step, the same each time."""


class Student:
    """The model in training: latent matrices and vectors over the tensors of the original."""

    def __init__(
        self,
        teacher: Mapping[str, Any],
        fixed: Mapping[str, Any],
        matrices: Mapping[str, Latent],
        vectors: Mapping[str, npt.NDArray[np.float32]],
        schedule: Schedule,
    ) -> None:
        """Sets up a training.

        Args:
            teacher: all tensors of the original's forward, by name.
            fixed: those that the student has in other words, and that do not learn.
            matrices: those that learn on their grids.
            vectors: those that learn as they are, float32; tables among them as fast as matrices do.
            schedule: says how fast.
        """
        self.teacher, self._fixed, self.matrices = teacher, fixed, matrices
        self.vectors = {name: torch.from_numpy(v.copy()).requires_grad_() for name, v in vectors.items()}
        self._schedule = schedule
        tables = [vector for vector in self.vectors.values() if vector.ndim > 1]
        rates = (
            *((self._rate(values), [values]) for values in (m.values for m in matrices.values())),
            *((self._rate(table), [table]) for table in tables),
            (schedule.scale_rate, [matrix.log_scales for matrix in matrices.values()]),
            (schedule.zero_rate, [m.zeros for m in matrices.values() if m.grid.zero_points]),
            (schedule.vector_rate, [vector for vector in self.vectors.values() if vector.ndim < 2]),
        )
        groups = [{"params": params, "lr": rate, "rate": rate} for rate, params in rates if params]
        self._optimiser = torch.optim.Adam(groups, betas=(0.9, 0.98), fused=True)

    def step(
        self, objective: Objective, sequences: list[list[int]], number: int, threads: SideBySide
    ) -> float:
        """One step; returns the figure of the objective before it."""
        for group in self._optimiser.param_groups:
            group["lr"] = group["rate"] * self._schedule.factor(number)
        self._optimiser.zero_grad(set_to_none=True)
        size = -(-len(sequences) // self._schedule.side_by_side)
        parts = [sequences[at : at + size] for at in range(0, len(sequences), size)]
        figure = backward(objective, self.teacher, self._tensors(), parts, threads)
        self._optimiser.step()
        return figure

    def outcome(self) -> Outcome:
        """What the training came to."""
        return Outcome(
            {name: matrix.codes() for name, matrix in self.matrices.items()},
            {name: vector.detach().numpy().copy() for name, vector in self.vectors.items()},
        )

    def arrays(self) -> dict[str, Any]:
        """Everything a checkpoint needs, as NumPy arrays by name."""
        found = {}
        for name, parameter in self._parameters().items():
            found[name] = parameter.detach().numpy()
            for key, value in self._optimiser.state.get(parameter, {}).items():
                found[f"{name}/{key}"] = value.numpy()
        return found

    def restore(self, arrays: Mapping[str, Any]) -> None:
        """The inverse of :meth:`arrays`."""
        keys = ("step", "exp_avg", "exp_avg_sq")
        for name, parameter in self._parameters().items():
            parameter.data.copy_(torch.from_numpy(arrays[name]))
            if f"{name}/step" in arrays:
                self._optimiser.state[parameter] = {
                    key: torch.from_numpy(arrays[f"{name}/{key}"]) for key in keys
                }

    def _rate(self, values: Any) -> float:
        """How fast values move: as the schedule says, or by their own spread against the usual one."""
        spread = float(values.detach().std()) / _USUAL_SPREAD if self._schedule.relative else 1.0
        return self._schedule.rate * spread

    def _tensors(self) -> dict[str, Any]:
        return {
            **self.teacher,
            **self._fixed,
            **self.vectors,
            **{name: matrix.weight() for name, matrix in self.matrices.items()},
        }

    def _parameters(self) -> dict[str, Any]:
        latent = {
            f"{name}:{part}": tensor
            for name, matrix in self.matrices.items()
            for part, tensor in matrix.state().items()
        }
        return {**latent, **self.vectors}


def train(
    job: Job, student: Student, objective: Objective, batches: Steps, schedule: Schedule, key: str
) -> Outcome:
    """Trains from where a checkpoint in the job's state folder stands, or from the beginning.

    Args:
        job: says where to keep state, and is told of the progress.
        student: to train.
        objective: what to bring together.
        batches: token ids by step.
        schedule: how.
        key: of the checkpoint.
    """
    first = _restored(job, student, key)
    saved = time.monotonic()
    job.progress(first, schedule.steps, "distilling")
    done = first
    try:
        with SideBySide(schedule.side_by_side) as threads:
            for number in range(first, schedule.steps):
                figure = student.step(objective, batches[number], number, threads)
                done = number + 1
                job.progress(done, schedule.steps, "distilling")
                if done % 50 == 0:
                    told = {objective.figure: round(figure, 5)}
                    _log.info("distilling", step=done, steps=schedule.steps, **told)
                if time.monotonic() - saved > _CHECKPOINT_SECONDS:
                    _save(job, student, key, done)
                    saved = time.monotonic()
    except KeyboardInterrupt:
        _save(job, student, key, done)
        raise
    return student.outcome()


def _restored(job: Job, student: Student, key: str) -> int:
    found = None if job.state is None else load_arrays(job.state / CHECKPOINT, key)
    if found is None:
        return 0
    student.restore(found[1])
    _log.info("distilling goes on from a checkpoint", step=found[0], path=str(job.state))
    return found[0]


def _save(job: Job, student: Student, key: str, step: int) -> None:
    if job.state is not None:
        save_arrays(job.state / CHECKPOINT, key, step, student.arrays())
