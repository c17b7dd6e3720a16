"""The quantiser: a model folder in floating point -> a smaller one, checked before it appears."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arrowmind.observe import get_logger, no_progress
from arrowmind.quantize.allocation import allocate
from arrowmind.quantize.calibration import Texts
from arrowmind.quantize.config import QuantizationConfig
from arrowmind.quantize.embedders import registered_calibrator, registered_embedder, registered_observer
from arrowmind.quantize.methods.base import Job
from arrowmind.quantize.methods.registry import method
from arrowmind.quantize.original import native_folder, refuse_codes
from arrowmind.quantize.precision import validate
from arrowmind.quantize.probes import PROBES
from arrowmind.quantize.report import PASSED, REFUSED, PrecisionReport
from arrowmind.quantize.smoothing import scaled_inputs
from arrowmind.quantize.state import kept_state
from arrowmind.quantize.storing import bytes_left_for_matrices, stored_tensors
from arrowmind.quantize.swapping import Swapper
from arrowmind.weights import open_weights
from arrowmind.weights.convert import copy_companions, write_formats
from arrowmind.weights.documents import read_json
from arrowmind.weights.folder import publish_folder
from arrowmind.weights.manifest import write_manifest
from arrowmind.weights.roles import is_like_a_table, is_router, role_of
from arrowmind.weights.schema import FILE_NAME
from arrowmind.weights.writer import rewrite_documents, write_weights

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Sequence

    from arrowmind.observe import Progress
    from arrowmind.quantize.embedders import Calibrator, CalibratorFactory, EmbedderFactory, Observer
    from arrowmind.quantize.methods.base import Input, Outcome
    from arrowmind.weights import WeightSource
    from arrowmind.weights.formats import Grid

__all__ = ["ArrowQuantizer"]

_log = get_logger("arrowmind.quantize")


class ArrowQuantizer:
    """Turns a model's matrices and tables into codes; biases and norms stay fp32.

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
        self._embedder = embedder or registered_embedder()
        self._observer = observer or (registered_observer() if embedder is None else None)
        self._calibrator = calibrator or registered_calibrator()
        self._texts = texts
        self._given_texts = calibration_texts or None

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

        Work of some length may be interrupted: what is done is kept beside ``output``, and the same call goes
        on from there.

        Args:
            source: a folder in floating point: ours, Parquet or Hugging Face.
            output: the folder to make; it appears whole and checked, or not at all.
            formats: what to write, of :data:`arrowmind.weights.convert.FORMATS`.
            force: replace ``output`` if it exists.
            progress: told of each stage.

        Returns:
            The report of the precision check, which the weight file also holds.

        Raises:
            PrecisionError: the result is below the thresholds of the configuration.
            QuantizationError: the source is quantised already, or another process makes ``output``.
            WeightError: the source cannot be used, or ``output`` exists.
        """
        origin = Path(source)
        with ExitStack() as stack:
            state = stack.enter_context(kept_state(output))
            building = stack.enter_context(publish_folder(output, force=force))
            with ExitStack() as within:
                weights = within.enter_context(open_weights(origin))
                refuse_codes(weights)
                copy_companions(origin, building, weights)
                folder = origin
                if self._runs_models:
                    copied = native_folder(origin, weights, building, progress)
                    folder, weights = within.enter_context(copied)
                job = self._job(folder, weights, state, progress)
                report = self._make(job, method(self.config.calibration).run(job), folder, building)
            rewrite_documents(building / FILE_NAME, {"precision": report.to_dict()})
            if set(formats) != {"native"}:
                write_formats(building, formats, progress)
            write_manifest(building)
        _log.info("model quantised", source=str(origin), output=str(output), **_summary(report))
        return report

    def _make(self, job: Job, outcome: Outcome, folder: Path, building: Path) -> PrecisionReport:
        """Writes the quantised model and judges it, as often as widening tensors helps."""
        report = self._write(job, outcome, folder, building)
        if report.verdict == REFUSED and self.config.on_failure == "swap":
            swapper = Swapper(job, outcome, job.calibrator or self._open_calibrator(folder))
            while report.verdict == REFUSED and swapper.widen(report):
                report = self._write(job, outcome, folder, building)
            report.swapped = swapper.swapped
        report.raise_if_refused()
        if report.verdict != PASSED:
            _log.warning("embeddings were not compared: no engine is registered", source=str(folder))
        return report

    def _write(self, job: Job, outcome: Outcome, folder: Path, building: Path) -> PrecisionReport:
        documents = {"model": read_json(building / "config.json"), "quantization": self.config.to_dict()}
        write_weights(building / FILE_NAME, stored_tensors(job, outcome), documents)
        report = validate(
            folder,
            building,
            embedder=self._embedder,
            texts=self._texts,
            thresholds=self.config.thresholds,
            progress=job.progress,
        )
        report.seed, report.method = self.config.seed, self.config.calibration
        report.calibration_sha256 = job.calibration_sha256
        return report

    @property
    def _calibration(self) -> Texts:
        return Texts(self.config, self._given_texts, self._follows_inputs, self._observes)

    def _open_calibrator(self, folder: Path) -> Calibrator | None:
        return None if self._calibrator is None else self._calibrator(folder, self._calibration.for_moments)

    @property
    def _runs_models(self) -> bool:
        """Whether anything reads the model beside the quantiser itself."""
        return any((self._embedder, self._observes, self._follows_inputs))

    @property
    def _scales_inputs(self) -> bool:
        """Whether inputs are looked at and scaled, as far as that gains something."""
        config = self.config
        if config.quant_type == "int8":
            return bool(config.smoothing) and config.activation != "fp32"
        # Steps of fp4 grow with the values themselves; what is trained finds scales of its own.
        gains = config.quant_type != "fp4" and config.calibration != "distill"
        return bool(config.smoothing) and gains

    @property
    def _observes(self) -> bool:
        """Whether an observer watches the inputs of the original."""
        return self._scales_inputs and self._observer is not None

    @property
    def _follows_inputs(self) -> bool:
        """Whether the calibrator runs the model, over many texts."""
        config = self.config
        chooses = config.size_budget or config.bits_budget
        return self._calibrator is not None and bool(config.calibration != "ptq" or chooses)

    def _job(self, folder: Path, weights: WeightSource, state: Path, progress: Progress) -> Job:
        """What the method is given."""
        config = self.config
        texts = self._calibration
        calibrator = self._open_calibrator(folder) if self._follows_inputs else None
        job = Job(
            weights,
            config,
            self._grids(weights),
            self._inputs(folder, weights, texts),
            calibrator,
            folder if calibrator is not None else None,
            self._training_texts(calibrator),
            texts.sha256,
            state,
            progress,
        )
        if not (config.size_budget or config.bits_budget):
            return job
        return replace(job, grids=allocate(job, bytes_left_for_matrices(job)))

    def _training_texts(self, calibrator: Calibrator | None) -> tuple[str, ...]:
        """None for a language model where nobody gives any: it trains on what it writes itself."""
        writes_its_own = calibrator is not None and calibrator.is_decoder and self._given_texts is None
        return () if writes_its_own else self._calibration.for_training

    def _inputs(self, folder: Path, weights: WeightSource, texts: Texts) -> dict[str, Input]:
        """By matrix, how what enters it is scaled; empty without calibration."""
        if not self._scales_inputs:
            return {}
        if self._observer is None:
            _log.warning("not calibrated: no engine is at hand", source=str(folder))
            return {}
        groups = self._observer(folder, texts.for_statistics)
        return scaled_inputs(weights, groups, self.config)

    def _grids(self, weights: WeightSource) -> dict[str, Grid]:
        """By matrix of a linear layer that is not kept, where it goes."""
        grid = self.config.grid
        if self.config.quant_type == "int8" and not self.config.symmetric:
            grid = replace(grid, zero_points=True)
        return {
            name: grid
            for name in weights.names()
            if _is_matrix(name, weights.spec(name).shape) and not self.config.keeps(name)
        }


def _is_matrix(name: str, shape: tuple[int, ...]) -> bool:
    """Whether a tensor goes onto the grid of matrices; output heads go where tables go, routers nowhere."""
    return role_of(name, shape) == "linear" and not is_like_a_table(name, shape) and not is_router(name)


def _summary(report: PrecisionReport) -> dict[str, Any]:
    values = report.to_dict()
    return {key: values[key] for key in ("verdict", *report.figures, "bytes", "bits_per_weight")}
