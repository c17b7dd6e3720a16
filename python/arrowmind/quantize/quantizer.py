"""The quantiser: a model folder in floating point -> a smaller one, checked before it appears."""

from __future__ import annotations

import math
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind.errors import QuantizationError
from arrowmind.observe import get_logger, no_progress
from arrowmind.quantize.allocation import allocate
from arrowmind.quantize.calibration_texts import CALIBRATION_TEXTS
from arrowmind.quantize.config import QuantizationConfig, matches
from arrowmind.quantize.corpus import documentation, pieces
from arrowmind.quantize.embedders import registered_calibrator, registered_observer
from arrowmind.quantize.matrix.codes import codes_of
from arrowmind.quantize.matrix.feedback import round_plainly
from arrowmind.quantize.methods.base import Input, Job
from arrowmind.quantize.methods.registry import method
from arrowmind.quantize.precision import embeddable, validate
from arrowmind.quantize.probes import PROBES
from arrowmind.quantize.ptq import fit
from arrowmind.quantize.report import PASSED, PrecisionReport, hash_of_texts
from arrowmind.quantize.scheme import Quantized
from arrowmind.quantize.smoothing import input_scale
from arrowmind.quantize.state import kept_state
from arrowmind.weights import open_weights
from arrowmind.weights.convert import copy_companions, write_formats
from arrowmind.weights.documents import read_json
from arrowmind.weights.folder import publish_folder
from arrowmind.weights.formats import Grid, GridCodes
from arrowmind.weights.manifest import write_manifest
from arrowmind.weights.roles import input_scale_name, role_of
from arrowmind.weights.schema import FILE_NAME
from arrowmind.weights.tensor import Tensor, float_tensor, grid_tensor, int8_tensor
from arrowmind.weights.writer import rewrite_documents, write_weights

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Iterator, Sequence

    import numpy.typing as npt

    from arrowmind.observe import Progress
    from arrowmind.quantize.embedders import CalibratorFactory, EmbedderFactory, Observer
    from arrowmind.quantize.methods.base import Codes, Outcome
    from arrowmind.weights import WeightSource
    from arrowmind.weights.tensor import TensorSpec

__all__ = ["ArrowQuantizer"]

_log = get_logger("arrowmind.quantize")

# Without calibration, only matrices that meet the output of attention take int8 activations: an average of
# values, without the outliers of norms and GELU. Measured on all-MiniLM-L6-v2, 180 texts, mean cosine: int8
# everywhere with input scales 0.9994; without them, 0.9979 for query, key and value alone.
_TOLERANT = ("*.attention.output.dense", "*.out_proj", "*.o_proj")
# Texts for moments; more cost time and gain little.
_MANY = 600
_TABLE_GRID = Grid("int4", 32, "u8", zero_points=True)
_TABLE_BLOCK = 2048
# Tables with fewer rows (positions, token types) cost little as fp16, and every token meets them.
_SMALL_TABLE_ROWS = 2048


class ArrowQuantizer:
    """Turns a model's matrices and tables into int8; biases and norms stay fp32.

    Example::

        config = QuantizationConfig(keep=("*.layer.5.output.dense",))
        report = ArrowQuantizer(config).quantize("models/minilm", "models/minilm-int8")
        print(report)
    """

    def __init__(
        self,
        config: QuantizationConfig | None = None,
        *,
        embedder: EmbedderFactory | None = None,
        observer: Observer | None = None,
        calibrator: CalibratorFactory | None = None,
        texts: Sequence[str] = PROBES,
        calibration_texts: Sequence[str] | None = None,
    ) -> None:
        """Sets up the quantiser.

        Args:
            config: how to quantise; None takes the defaults.
            embedder: opens a model folder for the precision check; None takes the registered one (the
                engine). Without any the check compares weights only, and says so.
            observer: runs the original for calibration; None takes the registered one (the engine), unless
                an embedder is given. Without any, ranges come from the weights alone.
            calibrator: runs the model as it is being quantised, for methods that follow its inputs; None
                takes the registered one (the engine).
            texts: what the check embeds.
            calibration_texts: what the original is calibrated on; none of ``texts``. None takes built-in
                texts and, for methods that want many, the documentation of Python's standard library.
        """
        self.config = config or QuantizationConfig()
        self._embedder = embedder
        self._observer = observer or (registered_observer() if embedder is None else None)
        self._calibrator = calibrator or registered_calibrator()
        self._texts = texts
        self._given_texts = calibration_texts

    def quantize(
        self,
        source: str | os.PathLike[str],
        output: str | os.PathLike[str],
        *,
        formats: Collection[str] = ("native",),
        force: bool = False,
        progress: Progress = no_progress,
    ) -> PrecisionReport:
        """Quantises a model folder.

        Args:
            source: a folder in floating point: ours, Parquet or Hugging Face.
            output: the folder to make; it appears whole and checked, or not at all.
            formats: what to write, of :data:`arrowmind.weights.convert.FORMATS`.
            force: replace ``output`` if it exists.
            progress: called with bytes of the original done.

        Returns:
            The report of the precision check, which the weight file also holds.

        Raises:
            PrecisionError: the result is below the thresholds of the configuration.
            QuantizationError: the source is quantised already.
            WeightError: the source cannot be used, or ``output`` exists.
        """
        origin, config = Path(source), self.config
        with ExitStack() as stack:
            building = stack.enter_context(publish_folder(output, force=force))
            native = building / FILE_NAME
            with open_weights(origin) as weights:
                _refuse_codes(weights)
                copy_companions(origin, building, weights)
                documents = {
                    "model": read_json(building / "config.json"),
                    "quantization": self.config.to_dict(),
                }
                state = stack.enter_context(kept_state(output)) if config.calibration == "distill" else None
                with self._job(origin, weights, state, progress) as job:
                    outcome = method(self.config.calibration).run(job)
                    write_weights(native, self._tensors(job, outcome), documents)
            report = self._check(origin, building)
            rewrite_documents(native, {"precision": report.to_dict()})
            write_formats(building, formats, progress)
            write_manifest(building)
        _log.info("model quantised", source=str(origin), output=str(output), **_summary(report))
        return report

    def _check(self, origin: Path, building: Path) -> PrecisionReport:
        thresholds = self.config.thresholds
        report = validate(origin, building, embedder=self._embedder, texts=self._texts, thresholds=thresholds)
        report.seed, report.method = self.config.seed, self.config.calibration
        report.calibration_sha256 = hash_of_texts(self._texts_read())
        report.raise_if_refused()
        if report.verdict != PASSED:
            _log.warning("embeddings were not compared: no engine is registered", source=str(origin))
        return report

    @property
    def _smooths(self) -> bool:
        """Whether inputs are scaled. Blocks of activations as large as groups of weights do without."""
        config = self.config
        return bool(config.smoothing) and config.activation != "fp32" and config.quant_type == "int8"

    @property
    def _follows_inputs(self) -> bool:
        """Whether the calibrator runs the model, over many texts."""
        config = self.config
        chooses = config.size_budget or config.bits_budget
        return self._calibrator is not None and bool(config.calibration != "ptq" or chooses)

    def _texts_read(self) -> Sequence[str]:
        """What calibration reads or cuts its pieces from, in order; nothing where it does without."""
        if self._follows_inputs or self.config.calibration == "distill":
            return self._given_texts or (*CALIBRATION_TEXTS, *documentation())
        if self._smooths and self._observer is not None:
            return self._given_texts or CALIBRATION_TEXTS
        return ()

    def _observe(self, origin: Path, weights: WeightSource) -> dict[str, Input]:
        """By matrix, how what enters it is scaled; empty without calibration."""
        config = self.config
        if not self._smooths:
            return {}
        if self._observer is None:
            _log.warning("not calibrated: no engine is at hand", source=str(origin))
            return {}
        with embeddable(origin) as folder:
            groups = self._observer(folder, self._given_texts or CALIBRATION_TEXTS)
        inputs = {}
        for group in groups:
            if any(
                weights.input_scale(name) is not None or matches(name, config.keep) for name in group.names
            ):
                continue
            matrices = (weights.tensor(name).to_float32() for name in group.names)
            scale = input_scale(matrices, group.magnitude, config.smoothing)
            importance = (group.mean_square * scale.astype(np.float64) ** 2).astype(np.float32)
            inputs.update(dict.fromkeys(group.names, Input(scale, importance)))
        return inputs

    @contextmanager
    def _job(
        self, origin: Path, weights: WeightSource, state: Path | None, progress: Progress
    ) -> Iterator[Job]:
        """What the method is given; the original is a folder of ours as long as it works."""
        with ExitStack() as stack:
            folder = calibrator = None
            budget = self.config.size_budget or self.config.bits_budget
            if self._calibrator is not None and self._follows_inputs:
                folder = stack.enter_context(embeddable(origin))
                calibrator = self._calibrator(folder, self._moment_texts())
            job = Job(
                weights,
                self.config,
                self._grids(weights),
                self._observe(origin, weights),
                calibrator,
                folder,
                self._training_texts(),
                state,
                progress,
            )
            yield replace(job, grids=allocate(job, self._budget(job))) if budget else job

    def _budget(self, job: Job) -> int:
        """Bytes for matrices on grids."""
        specs = [job.weights.spec(name) for name in job.weights.names()]
        if self.config.bits_budget is not None:
            count = sum(math.prod(spec.shape) for spec in specs if spec.name in job.grids)
            return int(self.config.bits_budget * count / 8)
        others = sum(self._bytes_of(spec) for spec in specs if spec.name not in job.grids)
        return int(self.config.size_budget or 0) - others

    def _bytes_of(self, spec: TensorSpec) -> int:
        """Bytes of a tensor that is on no grid of the method."""
        count, role = math.prod(spec.shape), role_of(spec.name, spec.shape)
        if role == "vector":
            return 4 * count
        if matches(spec.name, self.config.keep) or (role == "table" and spec.shape[0] < _SMALL_TABLE_ROWS):
            return count * (4 if self.config.keep_type == "fp32" else 2)
        if self.config.table_type == "int4":
            return int(_TABLE_GRID.bits_per_weight(*spec.shape) * count / 8)
        return count + 4 * spec.shape[0]

    def _moment_texts(self) -> Sequence[str]:
        """Texts for moments, which want many."""
        given = self._given_texts
        if given is None:
            extra = pieces(documentation(), _MANY, self.config.seed)
            return [*CALIBRATION_TEXTS, *extra]
        return given if len(given) <= _MANY else pieces(given, _MANY, self.config.seed)

    def _training_texts(self) -> tuple[str, ...]:
        """All texts there are, for methods that cut them themselves."""
        if self.config.calibration != "distill":
            return ()
        return (
            (*CALIBRATION_TEXTS, *documentation()) if self._given_texts is None else tuple(self._given_texts)
        )

    def _grids(self, weights: WeightSource) -> dict[str, Grid]:
        """By matrix of a linear layer that is not kept, where it goes."""
        grid = self.config.grid
        if self.config.quant_type == "int8" and not self.config.symmetric:
            grid = replace(grid, zero_points=True)
        return {
            name: grid
            for name in weights.names()
            if role_of(name, weights.spec(name).shape) == "linear" and not matches(name, self.config.keep)
        }

    def _tensors(self, job: Job, outcome: Outcome) -> Iterator[Tensor]:
        names = job.weights.names()
        total, done = sum(job.weights.spec(name).codes_bytes for name in names), 0
        for name in names:
            if name in outcome.codes:
                yield self._coded(name, outcome.codes[name], calibrated=name in job.inputs)
            else:
                yield self._plain(job.weights.tensor(name), outcome.vectors.get(name))
            done += job.weights.spec(name).codes_bytes
            job.progress(done, total, "writing")
        for name, entering in job.inputs.items():
            yield float_tensor(input_scale_name(name), entering.scale)

    def _coded(self, name: str, codes: Codes, *, calibrated: bool) -> Tensor:
        if not isinstance(codes, Quantized):
            activation = "int8" if self.config.activation == "auto" else self.config.activation
            return grid_tensor(name, codes, activation=activation)
        return int8_tensor(
            name,
            codes.codes,
            codes.scales,
            codes.zero_points,
            quant_axis=0 if self.config.per_channel else -1,
            activation=self._activation(name, calibrated=calibrated),
        )

    def _plain(self, tensor: Tensor, vector: npt.NDArray[np.float32] | None) -> Tensor:
        """What is no matrix on a grid: vectors, tables, kept matrices."""
        tensor.verify()
        name, shape = tensor.spec.name, tensor.spec.shape
        role = role_of(name, shape)
        if role == "vector":
            return float_tensor(name, tensor.to_float32() if vector is None else vector)
        kept = matches(name, self.config.keep)
        if kept or (role == "table" and shape[0] < _SMALL_TABLE_ROWS):
            return _as_float(tensor, self.config.keep_type if kept else "fp16")
        if self.config.table_type == "int4":
            return grid_tensor(name, _rows_on_grid(tensor.to_float32(), _TABLE_GRID))
        # Tables are symmetric in any case: a zero point per row gains them nothing measurable.
        config = QuantizationConfig(
            symmetric=True, per_channel=self.config.per_channel, range_search=self.config.range_search
        )
        quantized = fit(tensor.to_float32(), config)
        axis = 0 if config.per_channel else -1
        return int8_tensor(name, quantized.codes, quantized.scales, quant_axis=axis)

    def _activation(self, name: str, *, calibrated: bool) -> str:
        if self.config.activation != "auto":
            return self.config.activation
        return "int8" if calibrated or matches(name, _TOLERANT) else "int16"


def _rows_on_grid(table: npt.NDArray[np.float32], grid: Grid) -> GridCodes:
    """A table on a grid, rounded in the best ranges, some rows at a time."""
    weight = np.ones(table.shape[1], np.float32)
    blocks = [
        codes_of(round_plainly(np.ascontiguousarray(table[at : at + _TABLE_BLOCK].T), grid, weight))
        for at in range(0, len(table), _TABLE_BLOCK)
    ]
    parts = {
        name: np.concatenate([getattr(block, name) for block in blocks])
        for name in ("codes", "scales", "zeros", "outer")
    }
    return GridCodes(grid, **parts)


def _as_float(tensor: Tensor, quant_type: str) -> Tensor:
    values = tensor.to_float32()
    with np.errstate(over="ignore"):
        half = values.astype(np.float16)
    fits = quant_type == "fp16" and np.isfinite(half).all()
    if quant_type == "fp16" and not fits:
        _log.warning("a tensor does not fit fp16 and stays fp32", tensor=tensor.spec.name)
    return float_tensor(tensor.spec.name, half if fits else values).for_kernels()


def _refuse_codes(weights: WeightSource) -> None:
    coded = [name for name in weights.names() if weights.spec(name).quant_type not in ("fp32", "fp16")]
    if coded:
        raise QuantizationError(
            f"{weights.path}: tensor {coded[0]!r} is {weights.spec(coded[0]).quant_type} already; "
            "quantise the model it was made from"
        )


def _summary(report: PrecisionReport) -> dict[str, Any]:
    values = report.to_dict()
    return {key: values[key] for key in ("verdict", *report.figures, "bytes", "bits_per_weight")}
