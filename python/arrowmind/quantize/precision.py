"""The precision check: how far a quantised model's embeddings and weights are from the original's."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind.errors import InvalidArgumentError, PrecisionError
from arrowmind.quantize.embedders import registered_embedder
from arrowmind.quantize.probes import PROBES
from arrowmind.weights import convert_model, open_weights
from arrowmind.weights.configuration import KEY
from arrowmind.weights.documents import read_json_object
from arrowmind.weights.roles import role_of

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from arrowmind.quantize.embedders import Embedder, EmbedderFactory
    from arrowmind.weights import Tensor, WeightSource

__all__ = [
    "PrecisionReport",
    "Thresholds",
    "check",
    "compare_weights",
    "embeddable",
    "validate",
]

PASSED, REFUSED, NOT_MEASURED = "passed", "refused", "not measured"


@dataclass(frozen=True)
class Thresholds:
    """What a model must reach: cosine to the original's embeddings, mean over texts and smallest."""

    cosine_mean: float = 0.999
    cosine_min: float = 0.997


@dataclass
class PrecisionReport:
    """What the check measured. Kept in the weight file as JSON; ``str()`` of it is for people.

    Attributes:
        verdict: ``passed``, ``refused``, or ``not measured`` when there was nothing to embed texts with.
        thresholds: what was asked for.
        texts: number of texts compared.
        cosine_mean: mean cosine of both embeddings of a text; None when not measured.
        cosine_min: smallest cosine.
        worst_text: the text of the smallest cosine, shortened.
        tensors: relative error of each tensor that differs, ||difference|| / ||original||.
        bits_per_weight: all bits of the file's tensors, scales and padding included, per weight.
        bits_per_weight_without_tables: the same without embedding tables.
        bytes: of all tensors, scales and padding included.
        reference_bytes: the same of the original.
        reference: fingerprint of the original's weights.
        candidate: fingerprint of the weights checked.
        seed: of the quantiser.
        started: UTC time, ISO 8601.
        finished: UTC time, ISO 8601.
    """

    verdict: str = NOT_MEASURED
    thresholds: Thresholds = field(default_factory=Thresholds)
    texts: int = 0
    cosine_mean: float | None = None
    cosine_min: float | None = None
    worst_text: str = ""
    tensors: dict[str, float] = field(default_factory=dict)
    bits_per_weight: float = 0.0
    bits_per_weight_without_tables: float = 0.0
    bytes: int = 0
    reference_bytes: int = 0
    reference: str = ""
    candidate: str = ""
    seed: int = 0
    started: str = ""
    finished: str = ""

    @property
    def passed(self) -> bool:
        """Whether the embeddings were measured and reach the thresholds."""
        return self.verdict == PASSED

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> PrecisionReport:
        """The inverse of :meth:`to_dict`; keys of later versions are left out."""
        known = {key: value for key, value in values.items() if key in cls.__dataclass_fields__}
        return cls(**{**known, "thresholds": Thresholds(**known.get("thresholds", {}))})

    def raise_if_refused(self) -> None:
        """Raises PrecisionError, naming both figures, if the verdict is ``refused``."""
        if self.verdict == REFUSED:
            raise PrecisionError(
                f"precision is below the threshold: mean cosine {_cosine(self.cosine_mean)} "
                f"(at least {self.thresholds.cosine_mean} needed), smallest {_cosine(self.cosine_min)} "
                f"(at least {self.thresholds.cosine_min}), of {self.texts} texts, worst {self.worst_text!r}; "
                "keep sensitive layers in fp16 (keep=...), or lower the thresholds"
            )

    def __str__(self) -> str:
        lines = [
            f"precision check: {self.verdict} ({self.finished})",
            f"  cosine mean      {_cosine(self.cosine_mean)}   (at least {self.thresholds.cosine_mean})",
            f"  cosine smallest  {_cosine(self.cosine_min)}   (at least {self.thresholds.cosine_min})",
            f"  texts            {self.texts}",
        ]
        if self.reference_bytes:
            share = 100 * self.bytes / self.reference_bytes
            lines += [
                f"  bytes            {self.bytes:,} ({share:.1f} % of the {self.reference_bytes:,} before)",
                f"  bits per weight  {self.bits_per_weight:.3f} ({self.bits_per_weight_without_tables:.3f} "
                "without embedding tables)",
            ]
        worst = sorted(self.tensors.items(), key=lambda item: -item[1])[:3]
        lines += [f"  relative error   {error:.5f} {name}" for name, error in worst]
        return "\n".join(lines)


def check(
    reference: Embedder,
    candidate: Embedder,
    texts: Sequence[str] = PROBES,
    thresholds: Thresholds | None = None,
) -> PrecisionReport:
    """Compares two models by what they make of the same texts.

    Args:
        reference: the original.
        candidate: the model to judge.
        texts: at least one; held out from any calibration.
        thresholds: what the candidate must reach.

    Returns:
        A report with cosines and verdict. A NaN, a zero vector or another shape is a cosine of -1.

    Raises:
        InvalidArgumentError: there are no texts.
    """
    listed = list(texts)
    if not listed:
        raise InvalidArgumentError("no texts to compare models on; give at least one")
    report = PrecisionReport(thresholds=thresholds or Thresholds(), texts=len(listed), started=_now())
    cosines = _cosines(np.asarray(reference(listed)), np.asarray(candidate(listed)))
    report.cosine_mean, report.cosine_min = float(cosines.mean()), float(cosines.min())
    report.worst_text = listed[int(cosines.argmin())][:80]
    reached = (
        report.cosine_mean >= report.thresholds.cosine_mean
        and report.cosine_min >= report.thresholds.cosine_min
    )
    report.verdict = PASSED if reached else REFUSED
    report.finished = _now()
    return report


def compare_weights(report: PrecisionReport, reference: WeightSource, candidate: WeightSource) -> None:
    """Adds to ``report`` what the weights themselves say: errors per tensor, bytes, bits per weight."""
    sizes = {True: [0, 0], False: [0, 0]}  # of tables, of the rest: bits, weights
    originals = set(reference.names())
    report.reference_bytes = 0
    for name in candidate.names():
        tensor = candidate.tensor(name)
        entry = sizes[role_of(name, tensor.spec.shape) == "table"]
        entry[0] += 8 * _stored_bytes(tensor)
        entry[1] += int(np.prod(tensor.spec.shape, dtype=np.int64))
        if name in originals:
            originals.remove(name)
            report.reference_bytes += _stored_bytes(reference.tensor(name))
            error = _relative_error(name, reference, candidate)
            if error > 0:
                report.tensors[name] = float(f"{error:.3g}")
    bits, weights = (sizes[True][i] + sizes[False][i] for i in (0, 1))
    report.bytes = bits // 8
    report.bits_per_weight = bits / max(1, weights)
    report.bits_per_weight_without_tables = sizes[False][0] / max(1, sizes[False][1])
    report.reference_bytes += sum(_stored_bytes(reference.tensor(name)) for name in originals)
    report.reference, report.candidate = reference.fingerprint, candidate.fingerprint


def validate(
    reference: str | os.PathLike[str],
    candidate: str | os.PathLike[str],
    *,
    embedder: EmbedderFactory | None = None,
    texts: Sequence[str] = PROBES,
    thresholds: Thresholds | None = None,
) -> PrecisionReport:
    """Compares two model folders: weights tensor by tensor, and embeddings where an engine is at hand.

    Args:
        reference: the original, of any kind that :func:`arrowmind.weights.open_weights` opens.
        candidate: the model to judge.
        embedder: opens a folder for embedding; None takes the registered one.
        texts: to embed.
        thresholds: what the candidate must reach.

    Returns:
        The report; nothing is raised when it is below the thresholds.

    Raises:
        WeightError: a model cannot be opened.
    """
    factory = embedder or registered_embedder()
    with ExitStack() as stack:
        sources = [stack.enter_context(open_weights(path)) for path in (reference, candidate)]
        if factory is None:
            report = PrecisionReport(thresholds=thresholds or Thresholds(), started=_now(), finished=_now())
        else:
            folders = [stack.enter_context(embeddable(Path(path))) for path in (reference, candidate)]
            report = check(factory(folders[0]), factory(folders[1]), texts, thresholds)
        compare_weights(report, *sources)
    report.finished = _now()
    return report


@contextmanager
def embeddable(path: Path) -> Iterator[Path]:
    """A folder of ours with the model at ``path``: that itself, or one made for as long as it is needed."""
    config = path / "config.json"
    if config.is_file() and isinstance(read_json_object(config).get(KEY), dict):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="arrowmind-") as folder:
        convert_model(path, Path(folder) / "model")
        yield Path(folder) / "model"


def _cosines(left: npt.NDArray[Any], right: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    if left.shape != right.shape or left.ndim != 2:
        return np.full(max(1, len(left)), -1.0)
    a, b = left.astype(np.float64), right.astype(np.float64)
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        cosines = (a * b).sum(axis=1) / norms
    return np.where(np.isfinite(cosines), cosines, -1.0)


def _relative_error(name: str, reference: WeightSource, candidate: WeightSource) -> float:
    if reference.spec(name).shape != candidate.spec(name).shape:
        return float("inf")
    original = reference.real_values(name)
    norm = float(np.linalg.norm(original))
    difference = float(np.linalg.norm(candidate.real_values(name) - original))
    return difference / norm if norm else difference


def _stored_bytes(tensor: Tensor) -> int:
    return sum(buffer.nbytes for buffer in tensor.buffers() if buffer is not None)


def _cosine(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.6f}"


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")
