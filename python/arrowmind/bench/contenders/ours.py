"""ArrowMind itself: FP32 and every quantised width from the native weight file."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from arrowmind.bench.contenders import base

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# What the guide advises for INT8 that is used for long: half a minute more than rounding, as close, and codes
# that the fastest kernels take.
_INT8: dict[str, Any] = {
    "calibration": "gptq",
    "symmetric": True,
    "pair_bound": True,
    "act_order": True,
    "activation": "int8",
}
# Speed is all a width of this method is measured for, so that it is not judged: give the folder of a model
# made well with `--model` to see what it keeps, too.
_GROUPS: dict[str, Any] = {
    "calibration": "ptq",
    "activation": "int8",
    "cosine_mean": -1.0,
    "cosine_min": -1.0,
    "overlap_at_10": 0.0,
}


def prepare(job: base.Job) -> None:
    """Convert the model, and quantise it if the name says so; always anew, with the code that is measured."""
    if job.model is not None:
        return
    from arrowmind.weights import convert_model  # noqa: PLC0415

    if job.name == "arrowmind-fp32":
        convert_model(job.source, _model_folder(job), force=True)
        return
    from arrowmind import ArrowQuantizer, QuantizationConfig  # noqa: PLC0415
    from arrowmind.errors import PrecisionError  # noqa: PLC0415
    from arrowmind.observe import record_fallback  # noqa: PLC0415

    plain, width = job.cache / "plain", job.name.removeprefix("arrowmind-")
    convert_model(job.source, plain, force=True)
    config = QuantizationConfig(quant_type=width, **(_INT8 if width == "int8" else _GROUPS))
    try:
        ArrowQuantizer(config).quantize(plain, _model_folder(job), force=True)
    except PrecisionError as error:
        if width != "int8":
            raise
        # Another source may lose more than fours are allowed; pairs lose less, and are slower.
        record_fallback("bench", "int8 codes bound in pairs instead of fours", error=str(error))
        ArrowQuantizer(replace(config, bound_columns=2)).quantize(plain, _model_folder(job), force=True)


def open_session(job: base.Job) -> base.Session:
    """Map the model."""
    return _Session(job)


def cold_script(job: base.Job) -> str:
    """Return what a user would write to get one embedding."""
    return f"""
from arrowmind import ArrowEngine
engine = ArrowEngine({str(_model_folder(job))!r}, threads={job.threads})
vector = engine.encode([TEXT])
"""


def model_bytes(job: base.Job) -> int:
    """Return the size of the weights on disk."""
    return (_model_folder(job) / "weights.arrow").stat().st_size


class _Session:
    def __init__(self, job: base.Job) -> None:
        from arrowmind import ArrowEngine  # noqa: PLC0415

        self._engine = ArrowEngine(str(_model_folder(job)), threads=job.threads)

    def settings(self) -> Sequence[base.Setting]:
        return [base.Setting()]

    def use(self, setting: base.Setting) -> None:
        """Do nothing: the engine forms its own batches."""

    def encode(self, texts: list[str]) -> base.Vectors:
        vectors: base.Vectors = self._engine.encode(texts)
        return vectors


def _model_folder(job: base.Job) -> Path:
    return job.model or job.cache / job.name
