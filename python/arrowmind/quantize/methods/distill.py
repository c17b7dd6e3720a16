"""Distillation: the model on its grids learns from the original, on any text. For 4 bits and fewer.

Starts from the codes of GPTQ. Needs torch, which is loaded here alone (the extra ``train``). A decoder learns
what the original foretells; without texts of the user, on texts that the original writes.
"""

from __future__ import annotations

import importlib.util
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from arrowmind.errors import QuantizationError
from arrowmind.quantize.checkpoint import kept_of, work_key
from arrowmind.quantize.distill.parts import decoder_parts, encoder_parts, untrainable
from arrowmind.quantize.distill.schedule import Schedule
from arrowmind.quantize.methods import gptq
from arrowmind.quantize.methods.base import Outcome
from arrowmind.quantize.overlay import Overlay
from arrowmind.quantize.scheme import Quantized
from arrowmind.quantize.storing import table_codes, table_type, table_values

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy.typing as npt

    from arrowmind.models.decoder_spec import DecoderSpec
    from arrowmind.models.spec import ModelSpec
    from arrowmind.quantize.distill.parts import Parts
    from arrowmind.quantize.distill.training import Steps, Student
    from arrowmind.quantize.embedders import Calibrator
    from arrowmind.quantize.methods.base import Codes, Job

__all__ = ["NAME", "run"]

NAME = "distill"

_STEPS = {"int2": 1200, "trellis2": 1200, "trellis3": 400, "int4": 200, "fp4": 200}
_DECODER_STEPS = {"int2": 2000, "trellis2": 2000, "trellis3": 600, "int4": 300, "fp4": 300}
# Of decoders: tokens of a window, windows of a step; tokens that are drawn where the user gives no texts, and
# how often these are seen at most before the model writes more, up to so many. What the user gives is seen
# twice as often.
_WINDOW, _WINDOWS, _DRAWN, _SEEN, _DRAWN_MOST = 256, 2, 200_000, 4, 1 << 21
_WRITTEN = "written"
# Few levels have far to go; what is near already is only disturbed by it.
_FAR = Schedule(
    0, _WINDOWS, short=0.5, margin=0.2, side_by_side=2, rate=4e-4, vector_rate=1.5e-3, relative=True
)
_NEAR = Schedule(
    0,
    _WINDOWS,
    side_by_side=2,
    rate=5e-5,
    scale_rate=2e-4,
    zero_rate=5e-4,
    vector_rate=1e-4,
    relative=True,
)
# Longer trainings than this end with batches of so many windows; shorter ones need the steps more.
_LONG, _MOST = 4000, 8
# Elements of a table that learns: with its gradient and moments it takes 16 times as many bytes.
_LARGEST_TABLE = 1 << 24
# Weight of hidden states beside the divergence, in nats.
_HIDDEN = 0.1


def run(job: Job) -> Outcome:
    """Quantises all matrices of ``job``.

    Raises:
        QuantizationError: torch is not installed, no engine is at hand, nothing is on a grid of groups, or
            the model has what is not trained: experts, latent rows.
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
            "distill is for 4 bits and fewer; int8 needs no training: use 'ptq' or 'gptq'"
        )
    _refuse_untrainable(job.calibrator)
    schedule = _schedule(job, decoder=job.calibrator.is_decoder)
    key = work_key(job, NAME, schedule, "tables learn")
    start = gptq.run(job).codes
    outcome = _distill(job, job.calibrator, schedule, key, start)
    return Outcome({**start, **outcome.codes}, outcome.vectors)


def _refuse_untrainable(calibrator: Calibrator) -> None:
    if hasattr(calibrator.model, "towers"):
        raise QuantizationError(
            f"distill trains models of text alone, not {calibrator.model.family}; use calibration 'gptq'"
        )
    if calibrator.is_decoder and (what := untrainable(cast("DecoderSpec", calibrator.model))):
        raise QuantizationError(f"distill does not train models with {what}; use calibration 'gptq'")


def _schedule(job: Job, *, decoder: bool) -> Schedule:
    steps = job.config.steps or (_DECODER_STEPS if decoder else _STEPS).get(job.config.quant_type, 200)
    if not decoder:
        return Schedule(steps)
    if all(grid.bits >= 4 for grid in job.grids.values()):
        return replace(_NEAR, steps=steps)
    return replace(_FAR, steps=steps, most=_MOST if steps > _LONG else 0)


def _distill(
    job: Job, calibrator: Calibrator, schedule: Schedule, key: str, start: dict[str, Codes]
) -> Outcome:
    from arrowmind.quantize.distill.objective import DecoderObjective, EncoderObjective  # noqa: PLC0415
    from arrowmind.quantize.distill.training import train  # noqa: PLC0415

    if calibrator.is_decoder:
        decoder = cast("DecoderSpec", calibrator.model)
        parts = decoder_parts(decoder)
        learning = _tables_that_learn(job, parts)
        parts = replace(parts, vectors=(*parts.vectors, *learning))
        fixed = _stored_tables(job, set(parts.tables) - set(learning))
        student = _student(job, parts, start, schedule, fixed)
        batches = _windows(job, calibrator, decoder, student.teacher, schedule)
        return train(job, student, DecoderObjective(decoder, _HIDDEN), batches, schedule, key)
    encoder = cast("ModelSpec", calibrator.model)
    parts = encoder_parts(encoder)
    learning = _tables_that_learn(job, parts)
    parts = replace(parts, vectors=(*parts.vectors, *learning))
    coded = tuple(name for name in parts.tables if name not in learning and _is_trainable(job, name))
    fixed = _stored_tables(job, set(parts.tables) - {*learning, *coded})
    student = _student(job, parts, start, schedule, fixed, coded)
    batches = _pieces(job, calibrator, len(student.teacher[encoder.embedding.word]), schedule)
    return train(job, student, EncoderObjective(encoder), batches, schedule, key)


def _tables_that_learn(job: Job, parts: Parts) -> tuple[str, ...]:
    """Tables and heads that rounding leaves nearly as they are: they learn as vectors do."""
    return tuple(
        name
        for name in parts.tables
        if _is_trainable(job, name) and table_type(job, Outcome(), name) in ("", "int8")
    )


def _is_trainable(job: Job, table: str) -> bool:
    return math.prod(job.weights.spec(table).shape) <= _LARGEST_TABLE


def _stored_tables(job: Job, names: Iterable[str]) -> dict[str, npt.NDArray[np.float32]]:
    """What the codes of tables and heads stand for: the student learns beside what will be stored."""
    coded = (name for name in names if table_type(job, Outcome(), name))
    return {name: table_values(job, Outcome(), name) for name in coded}


def _student(
    job: Job,
    parts: Parts,
    start: dict[str, Codes],
    schedule: Schedule,
    tables: Mapping[str, npt.NDArray[np.float32]],
    coded: Iterable[str] = (),
) -> Student:
    """The student; of its tables ``tables`` stay as they are, and ``coded`` learn on their grids."""
    import torch  # noqa: PLC0415  (large, and an extra)

    from arrowmind.quantize.distill.latent import latent_matrix  # noqa: PLC0415
    from arrowmind.quantize.distill.table import LatentTable  # noqa: PLC0415
    from arrowmind.quantize.distill.training import Student  # noqa: PLC0415

    stand = Outcome({name: codes for name, codes in start.items() if isinstance(codes, Quantized)})
    overlay = Overlay(job.weights, stand.replaced(job))
    teacher = {name: torch.from_numpy(job.weights.real_values(name)) for name in parts.names}
    matrices = {
        name: latent_matrix(codes, job.matrix(name), job.input_scale(name), schedule.margin)
        for name, codes in start.items()
        if name in teacher and not isinstance(codes, Quantized)
    }
    matrices.update({name: LatentTable(table_codes(job, name), job.matrix(name)) for name in coded})
    rounded = {name: overlay.real_values(name) for name in stand.codes if name in teacher}
    fixed = {name: torch.from_numpy(values) for name, values in {**rounded, **tables}.items()}
    vectors = {name: job.weights.tensor(name).to_float32() for name in parts.vectors}
    return Student(teacher, fixed, matrices, vectors, schedule)


def _pieces(job: Job, calibrator: Calibrator, vocabulary: int, schedule: Schedule) -> Steps:
    """Pieces of texts, for an encoder."""
    from arrowmind.quantize.distill.batches import Batches  # noqa: PLC0415

    return Batches(
        job.texts, calibrator.tokenise, size=schedule.batch, vocabulary=vocabulary, seed=job.config.seed
    )


def _windows(
    job: Job, calibrator: Calibrator, model: DecoderSpec, tensors: Mapping[str, Any], schedule: Schedule
) -> Steps:
    """Windows of the user's texts, and of drawn ones where those are too few, for a decoder."""
    from arrowmind.quantize.distill.windows import ScheduledWindows  # noqa: PLC0415

    length, seed = min(_WINDOW, model.max_tokens), job.config.seed
    texts = calibrator.tokenise(list(job.texts)) if job.texts else []
    trained = sum(schedule.sizes()) * length
    wanted = max(min(trained // _SEEN, _DRAWN_MOST), 0 if texts else min(_DRAWN, trained))
    if (missing := wanted - 2 * sum(map(len, texts))) > 0:
        texts = texts * 2 + _drawn(job, model, tensors, calibrator.tokenise([""])[0], (missing, length))
    return ScheduledWindows(texts, schedule, length=length, seed=seed)


def _drawn(
    job: Job, model: DecoderSpec, tensors: Mapping[str, Any], begin: Sequence[int], size: tuple[int, int]
) -> list[list[int]]:
    """So many tokens in texts of a length that the original writes; kept for a training that is cut short."""
    from arrowmind.quantize.distill.sampling import draw  # noqa: PLC0415

    kept = kept_of(job, NAME, _WRITTEN, size)
    if (found := kept.load(_WRITTEN)) is not None:
        held: list[list[int]] = found["ids"].tolist()
        return held
    tokens, length = size
    ids = draw(
        model,
        tensors.__getitem__,
        begin,
        tokens=tokens,
        length=length,
        seed=job.config.seed,
        progress=job.progress,
    )
    kept.save(_WRITTEN, {"ids": np.array(ids, dtype=np.int32)})
    return ids
