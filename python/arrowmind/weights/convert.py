"""Model folders from weights of any kind: Hugging Face, GGUF, Parquet and native, in every direction."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind.errors import InvalidArgumentError, WeightError
from arrowmind.observe import get_logger, no_progress
from arrowmind.weights import schema
from arrowmind.weights.configuration import read_configuration
from arrowmind.weights.documents import encode_json, read_json, read_json_object
from arrowmind.weights.export import write_safetensors
from arrowmind.weights.file import WeightFile
from arrowmind.weights.folder import publish_folder
from arrowmind.weights.formats import number_type
from arrowmind.weights.gguf.writer import write_gguf
from arrowmind.weights.manifest import write_manifest
from arrowmind.weights.opening import PARQUET_NAME, open_weights
from arrowmind.weights.parquet import write_parquet
from arrowmind.weights.tensor import Tensor, float_tensor
from arrowmind.weights.writer import write_weights

if TYPE_CHECKING:
    import os

    from arrowmind.observe import Progress
    from arrowmind.weights.source import WeightSource

__all__ = ["FORMATS", "ConvertReport", "convert_model", "copy_companions", "write_formats"]

_log = get_logger("arrowmind.weights")

GGUF_NAME = "model.gguf"
_Writer = Callable[..., None]
FORMATS: dict[str, tuple[str, _Writer | None, dict[str, Any]]] = {
    "native": (schema.FILE_NAME, None, {}),
    "parquet-v1": (PARQUET_NAME, write_parquet, {"version": 1}),
    "parquet-v2": (PARQUET_NAME, write_parquet, {"version": 2}),
    "safetensors": ("model.safetensors", write_safetensors, {}),
    "gguf": (GGUF_NAME, write_gguf, {}),
    "gguf-f16": (GGUF_NAME, write_gguf, {"matrices": "F16"}),
    "gguf-q8_0": (GGUF_NAME, write_gguf, {"matrices": "Q8_0"}),
    "gguf-q4_0": (GGUF_NAME, write_gguf, {"matrices": "Q4_0"}),
}
"""What a folder can hold: file name, writer (native is always written first), options of the writer."""


@dataclass
class ConvertReport:
    """What :func:`convert_model` made.

    Attributes:
        output: the folder.
        source_kind: kind of weights converted.
        tensors: how many.
        files: size of each file in bytes.
        largest_error: largest difference of a value to the original, relative to the largest value of its
            tensor; 0 when nothing was lost.
        lossless: whether every value is the same to the last bit.
        seconds: time it took.
    """

    output: str
    source_kind: str
    tensors: int = 0
    files: dict[str, int] = field(default_factory=dict)
    largest_error: float = 0.0
    lossless: bool = True
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def convert_model(
    source: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    formats: Collection[str] = ("native",),
    quant_type: str | None = None,
    force: bool = False,
    progress: Progress = no_progress,
) -> ConvertReport:
    """Converts a model folder, a GGUF file, or a weight file with config.json and tokenizer.json beside it.

    Args:
        source: a Hugging Face folder, a folder of ours, weights.arrow, a Parquet or a GGUF file.
        output: the folder to make; it appears whole or not at all.
        formats: what to write, of :data:`FORMATS`.
        quant_type: ``fp32`` or ``fp16`` to change the type of all tensors; None keeps every tensor as it is.
        force: replace ``output`` if it exists.
        progress: called with bytes of tensors done.

    Raises:
        WeightError: the source cannot be used, or ``output`` exists.
        IntegrityError: a file is damaged.
        StorageError: there is no room, or the folder cannot be written.
    """
    started, origin = time.perf_counter(), Path(source)
    _check_arguments(formats, quant_type)
    with publish_folder(output, force=force) as building, open_weights(origin) as weights:
        report = ConvertReport(str(output), weights.kind)
        copy_companions(origin, building, weights)
        documents = {**weights.documents, "model": read_json(building / "config.json")}
        if quant_type is not None:
            documents["precision"] = {}  # of other tensors than these
        tensors = _converted(weights, quant_type, report, progress)
        write_weights(building / schema.FILE_NAME, tensors, documents)
        write_formats(building, formats, progress)
        write_manifest(building)
        report.files = {path.name: path.stat().st_size for path in sorted(building.iterdir())}
    report.seconds = time.perf_counter() - started
    _log.info("model converted", **report.to_dict())
    return report


def _check_arguments(formats: Collection[str], quant_type: str | None) -> None:
    unknown = set(formats) - set(FORMATS)
    if unknown or not formats:
        raise InvalidArgumentError(f"formats {sorted(formats)}: choose from {', '.join(FORMATS)}")
    names = [FORMATS[name][0] for name in formats]
    if len(set(names)) < len(names):
        raise InvalidArgumentError(f"formats {sorted(formats)} share a file name; convert one at a time")
    if quant_type not in (None, "fp32", "fp16"):
        raise InvalidArgumentError(f"quant_type {quant_type!r} is not fp32 or fp16; for codes, quantise")


def copy_companions(origin: Path, building: Path, weights: WeightSource) -> None:
    """Writes config.json and tokenizer.json of the model at ``origin`` into ``building``.

    Args:
        origin: a model folder, or a file in one.
        building: the folder to fill.
        weights: what was opened at ``origin``. What they hold of a configuration is used when there is no
            config.json; a GGUF file's own are used before files beside it, which may be another model's.

    Raises:
        WeightError: there is no configuration or no tokenizer.
    """
    folder = origin if origin.is_dir() else origin.parent
    is_whole = weights.kind == "gguf"
    has_config = (folder / "config.json").exists() and not is_whole
    config = read_configuration(folder) if has_config or not weights.model else weights.model
    (building / "config.json").write_bytes(encode_json(config))
    (building / "tokenizer.json").write_bytes(_tokenizer(folder, weights))
    if not is_whole:
        _copy_generation_files(folder, building)


def _copy_generation_files(folder: Path, building: Path) -> None:
    """What a generating model has beside it: chat template, texts of special tokens, ids that end a text."""
    names = ["chat_template.jinja", "generation_config.json"]
    settings = folder / "tokenizer_config.json"
    has_template = (folder / names[0]).exists()
    if settings.exists() and (has_template or "chat_template" in read_json_object(settings)):
        names.append(settings.name)
    for name in names:
        if (folder / name).is_file():
            (building / name).write_bytes((folder / name).read_bytes())


def _tokenizer(folder: Path, weights: WeightSource) -> bytes:
    beside = folder / "tokenizer.json"
    try:
        inside = weights.tokenizer
    except WeightError as error:
        if not beside.exists():
            raise
        _log.warning("tokenizer beside the weights is used", path=str(beside), reason=str(error))
        inside = None
    if inside is not None:
        return inside
    read_json(beside)
    return beside.read_bytes()


def write_formats(building: Path, formats: Collection[str], progress: Progress = no_progress) -> None:
    """Writes the other formats from the native file of ``building``; drops that unless it is asked for."""
    native = building / schema.FILE_NAME
    with WeightFile.open(native) as weights:
        weights.verify()
        total = weights.describe()["bytes"]
        for chosen in formats:
            name, writer, options = FORMATS[chosen]
            if writer is not None:
                step = _Step(progress, total, name)
                writer(weights, building / name, progress=step.advance, **options)
    if "native" not in formats:
        native.unlink()


class _Step:
    """Adds up bytes for a progress callback."""

    def __init__(self, progress: Progress, total: int, what: str) -> None:
        self._progress, self._total, self._what, self._done = progress, total, what, 0

    def advance(self, count: int) -> None:
        self._done += count
        self._progress(self._done, self._total, self._what)


def _converted(
    weights: WeightSource, quant_type: str | None, report: ConvertReport, progress: Progress
) -> Iterator[Tensor]:
    names = weights.names()
    step = _Step(progress, sum(weights.spec(name).codes_bytes for name in names), "converting")
    for name in names:
        tensor = weights.tensor(name)
        tensor.verify()
        yield tensor if quant_type is None else _as_float(tensor, quant_type, report)
        report.tensors += 1
        step.advance(tensor.spec.codes_bytes)


def _as_float(tensor: Tensor, quant_type: str, report: ConvertReport) -> Tensor:
    """A tensor as fp32 or fp16; notes in the report what is lost."""
    spec = tensor.spec
    if spec.quant_type == quant_type:
        return tensor
    values = tensor.to_float32()
    largest = float(np.abs(values).max(initial=0.0))
    with np.errstate(over="ignore"):
        result = values.astype(number_type(quant_type).dtype)
    if not np.isfinite(result).all():
        raise WeightError(f"tensor {spec.name!r}: value {largest:g} does not fit {quant_type}; use fp32")
    error = float(np.abs(result.astype(np.float32) - values).max(initial=0.0))
    report.lossless &= error == 0.0
    report.largest_error = max(report.largest_error, error / largest if largest else 0.0)
    return float_tensor(spec.name, result).for_kernels()
