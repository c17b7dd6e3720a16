"""Distillation: the model on its grids learns from the original, on any text. For 4 bits and fewer.

Starts from the codes of GPTQ. Needs torch, which is loaded here alone (the extra ``train``).
"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

from arrowmind.errors import QuantizationError
from arrowmind.quantize.checkpoint import work_key
from arrowmind.quantize.distill.schedule import Schedule
from arrowmind.quantize.methods import gptq
from arrowmind.quantize.methods.base import Outcome
from arrowmind.quantize.overlay import Overlay
from arrowmind.quantize.scheme import Quantized

if TYPE_CHECKING:
    from collections.abc import Iterator

    from arrowmind.models.spec import Block, Linear, ModelSpec
    from arrowmind.quantize.methods.base import Codes, Job

__all__ = ["NAME", "run"]

NAME = "distill"

_STEPS = {"int2": 1200, "int4": 200, "fp4": 200}


def run(job: Job) -> Outcome:
    """Quantises all matrices of ``job``.

    Raises:
        QuantizationError: torch is not installed, no engine is at hand, or nothing is on a grid of groups.
    """
    if importlib.util.find_spec("torch") is None:
        raise QuantizationError(
            "distill needs torch, which is not installed; pip install 'arrowmind[train]', or use "
            "calibration 'gptq'"
        )
    if job.calibrator is None:
        raise QuantizationError(
            "distill needs an engine to read the model with, and none is at hand; use calibration 'ptq'"
        )
    if not any(grid.bits < 8 for grid in job.grids.values()):
        raise QuantizationError(
            "distill is for int4, int2 and fp4; int8 needs no training: use 'ptq' or 'gptq'"
        )
    schedule = Schedule(job.config.steps or _STEPS.get(job.config.quant_type, 200))
    key = work_key(job, NAME, schedule)
    start = gptq.run(job).codes
    outcome = _distill(job, schedule, key, start)
    return Outcome({**start, **outcome.codes}, outcome.vectors)


def _distill(job: Job, schedule: Schedule, key: str, start: dict[str, Codes]) -> Outcome:
    import torch  # noqa: PLC0415  (large, and an extra)

    from arrowmind.quantize.distill.latent import LatentMatrix  # noqa: PLC0415
    from arrowmind.quantize.distill.training import Student, train  # noqa: PLC0415

    if job.calibrator is None:  # run() has refused that
        return Outcome()
    model = job.calibrator.model
    stand = Outcome({name: codes for name, codes in start.items() if isinstance(codes, Quantized)})
    overlay = Overlay(job.weights, stand.replaced(job))
    teacher = {name: torch.from_numpy(job.weights.real_values(name)) for name in _names(model)}
    matrices = {
        name: LatentMatrix(codes, job.matrix(name), job.input_scale(name))
        for name, codes in start.items()
        if name in teacher and not isinstance(codes, Quantized)
    }
    fixed = {name: torch.from_numpy(overlay.real_values(name)) for name in stand.codes if name in teacher}
    vectors = {name: job.weights.tensor(name).to_float32() for name in _trained_vectors(model)}
    return train(job, Student(teacher, fixed, matrices, vectors, schedule), schedule, key)


def _names(model: ModelSpec) -> Iterator[str]:
    """All tensors of the forward."""
    embedding = model.embedding
    yield from filter(None, (embedding.word, embedding.position, embedding.token_type))
    yield from (embedding.norm.weight, embedding.norm.bias)
    for block in model.blocks:
        yield from (layer.weight for layer in _layers(block))
    yield from _trained_vectors(model)


def _trained_vectors(model: ModelSpec) -> Iterator[str]:
    """Biases and norms of the blocks: they cost no bits, and take up part of what codes cannot say."""
    for block in model.blocks:
        yield from (layer.bias for layer in _layers(block) if layer.bias)
        for norm in (block.attention_norm, block.feed_forward_norm):
            yield from (norm.weight, norm.bias)


def _layers(block: Block) -> tuple[Linear, ...]:
    attention, feed_forward = block.attention, block.feed_forward
    return (
        *(attention.query, attention.key, attention.value, attention.output),
        *(feed_forward.up, feed_forward.down),
    )
