"""The training itself: the quantised model learns to do what the original does, on any text.

The loss is one less the cosine of both embeddings, and the relative squared difference of the hidden states
behind each block. Latent values, scales, zero points, biases and norms all learn, with a rate that rises over
the first steps and falls along a half cosine.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import torch

from arrowmind.observe import get_logger
from arrowmind.quantize.checkpoint import CHECKPOINT, load_arrays, save_arrays
from arrowmind.quantize.distill.batches import Batches
from arrowmind.quantize.distill.forward import forward, pad
from arrowmind.quantize.methods.base import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import numpy.typing as npt

    from arrowmind.models.spec import ModelSpec
    from arrowmind.quantize.distill.latent import LatentMatrix
    from arrowmind.quantize.distill.schedule import Schedule
    from arrowmind.quantize.methods.base import Job

__all__ = ["Student", "train"]

_log = get_logger("arrowmind.quantize")
_CHECKPOINT_SECONDS = 60.0


class Student:
    """The model in training: latent matrices and vectors over the tensors of the original."""

    def __init__(
        self,
        teacher: Mapping[str, Any],
        fixed: Mapping[str, Any],
        matrices: Mapping[str, LatentMatrix],
        vectors: Mapping[str, npt.NDArray[np.float32]],
        schedule: Schedule,
    ) -> None:
        """Sets up a training.

        Args:
            teacher: all tensors of the original's forward, by name.
            fixed: those that the student has in other words, and that do not learn.
            matrices: those that learn on their grids.
            vectors: those that learn as they are, float32.
            schedule: says how fast.
        """
        self.teacher, self._fixed, self.matrices = teacher, fixed, matrices
        self.vectors = {name: torch.from_numpy(v.copy()).requires_grad_() for name, v in vectors.items()}
        self._schedule = schedule
        rates = (
            (schedule.rate, [matrix.values for matrix in matrices.values()]),
            (schedule.scale_rate, [matrix.log_scales for matrix in matrices.values()]),
            (schedule.zero_rate, [m.zeros for m in matrices.values() if m.grid.zero_points]),
            (schedule.vector_rate, list(self.vectors.values())),
        )
        groups = [{"params": params, "lr": rate, "rate": rate} for rate, params in rates if params]
        self._optimiser = torch.optim.Adam(groups, betas=(0.9, 0.98))

    def step(self, model: ModelSpec, sequences: list[list[int]], number: int) -> float:
        """One step; returns the mean cosine before it."""
        for group in self._optimiser.param_groups:
            group["lr"] = group["rate"] * self._schedule.factor(number)
        batch = pad(sequences)
        with torch.no_grad():
            wanted, wanted_states = forward(model, self.teacher.__getitem__, batch)
        found, states = forward(model, self._tensors().__getitem__, batch)
        cosine = (found * wanted).sum(1).mean()
        weights = batch.weights
        apart = sum(
            ((a - b) ** 2 * weights).sum() / (b**2 * weights).sum()
            for a, b in zip(states, wanted_states, strict=True)
        )
        loss = (1 - cosine) + apart / len(states)
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self._optimiser.step()
        return float(cosine.detach())

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


def train(job: Job, student: Student, schedule: Schedule, key: str) -> Outcome:
    """Trains from where a checkpoint in the job's state folder stands, or from the beginning.

    Args:
        job: says where to keep state, and is told of the progress.
        student: to train.
        schedule: how.
        key: of the checkpoint.
    """
    calibrator = job.calibrator
    if calibrator is None:  # the method has refused that
        return student.outcome()
    batches = Batches(
        job.texts,
        calibrator.tokenise,
        size=schedule.batch,
        vocabulary=len(student.teacher[calibrator.model.embedding.word]),
        seed=job.config.seed,
    )
    first = _restored(job, student, key)
    saved = time.monotonic()
    job.progress(first, schedule.steps, "distilling")
    try:
        done = first
        for number in range(first, schedule.steps):
            cosine = student.step(calibrator.model, batches[number], number)
            done = number + 1
            job.progress(done, schedule.steps, "distilling")
            if done % 50 == 0:
                _log.info("distilling", step=done, steps=schedule.steps, cosine=round(cosine, 5))
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
