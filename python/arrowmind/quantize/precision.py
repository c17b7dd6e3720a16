"""The precision check: how far a quantised model's embeddings and weights are from the original's."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack, contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from arrowmind.errors import InvalidArgumentError
from arrowmind.quantize.calibration_texts import CALIBRATION_TEXTS
from arrowmind.quantize.embedders import registered_embedder
from arrowmind.quantize.measures import MEASURES, Vectors, cosines
from arrowmind.quantize.probes import PROBES
from arrowmind.quantize.report import PrecisionReport, Thresholds, stored_report
from arrowmind.weights import convert_model, open_weights
from arrowmind.weights.configuration import KEY
from arrowmind.weights.documents import read_json_object
from arrowmind.weights.roles import role_of

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

    from arrowmind.quantize.embedders import Embedder, EmbedderFactory
    from arrowmind.weights import Tensor, WeightSource

__all__ = [
    "check",
    "compare_weights",
    "embeddable",
    "own_thresholds",
    "stored_bytes",
    "validate",
]


def check(
    reference: Embedder,
    candidate: Embedder,
    texts: Sequence[str] = PROBES,
    thresholds: Thresholds | None = None,
    *,
    background: Sequence[str] = CALIBRATION_TEXTS,
) -> PrecisionReport:
    """Compares two models by what they make of the same texts.

    Args:
        reference: the original.
        candidate: the model to judge.
        texts: at least one; held out from any calibration.
        thresholds: what the candidate must reach.
        background: texts that ``texts`` are searched among, beside themselves.

    Returns:
        A report with figures and verdict. A NaN, a zero vector or another shape is a cosine of -1.

    Raises:
        InvalidArgumentError: there are no texts.
    """
    listed = list(texts)
    if not listed:
        raise InvalidArgumentError("no texts to compare models on; give at least one")
    report = PrecisionReport(thresholds=thresholds or Thresholds(), texts=len(listed), started=_now())
    searched = [*listed, *sorted(set(background) - set(listed))]
    left, right = np.asarray(reference(searched)), np.asarray(candidate(searched))
    vectors = Vectors(left, right, len(listed))
    for measure in MEASURES:
        setattr(report, measure.name, measure.find(vectors))
    report.worst_text = listed[int(cosines(vectors).argmin())][:80]
    report.judge()
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
        entry[0] += 8 * stored_bytes(tensor)
        entry[1] += int(np.prod(tensor.spec.shape, dtype=np.int64))
        if name in originals:
            originals.remove(name)
            report.reference_bytes += stored_bytes(reference.tensor(name))
            error = _relative_error(name, reference, candidate)
            if error > 0:
                report.tensors[name] = float(f"{error:.3g}")
    bits, weights = (sizes[True][i] + sizes[False][i] for i in (0, 1))
    report.bytes = bits // 8
    report.bits_per_weight = bits / max(1, weights)
    report.bits_per_weight_without_tables = sizes[False][0] / max(1, sizes[False][1])
    report.reference_bytes += sum(stored_bytes(reference.tensor(name)) for name in originals)
    report.reference, report.candidate = reference.fingerprint, candidate.fingerprint


def own_thresholds(candidate: str | os.PathLike[str]) -> Thresholds:
    """What a model was asked to reach when it was quantised; the defaults for one that carries no report.

    Raises:
        WeightError: the model cannot be opened.
    """
    with open_weights(candidate) as weights:
        return _thresholds_of(weights)


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
        thresholds: what the candidate must reach; None takes :func:`own_thresholds`.

    Returns:
        The report; nothing is raised when it is below the thresholds. How the candidate was made is from the
        report it carries.

    Raises:
        WeightError: a model cannot be opened.
    """
    factory = embedder or registered_embedder()
    with ExitStack() as stack:
        sources = [stack.enter_context(open_weights(path)) for path in (reference, candidate)]
        thresholds = thresholds or _thresholds_of(sources[1])
        if factory is None:
            report = PrecisionReport(thresholds=thresholds, started=_now(), finished=_now())
        else:
            folders = [stack.enter_context(embeddable(Path(path))) for path in (reference, candidate)]
            report = check(factory(folders[0]), factory(folders[1]), texts, thresholds)
        compare_weights(report, *sources)
        made = stored_report(sources[1]) or report
    report.method, report.seed, report.calibration_sha256 = made.method, made.seed, made.calibration_sha256
    report.finished = _now()
    return report


def _thresholds_of(weights: WeightSource) -> Thresholds:
    made = stored_report(weights)
    return made.thresholds if made else Thresholds()


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


def _relative_error(name: str, reference: WeightSource, candidate: WeightSource) -> float:
    if reference.spec(name).shape != candidate.spec(name).shape:
        return 1.0  # nothing of it is left
    original = reference.real_values(name)
    norm = float(np.linalg.norm(original))
    difference = float(np.linalg.norm(candidate.real_values(name) - original))
    return difference / norm if norm else difference


def stored_bytes(tensor: Tensor) -> int:
    """Bytes of all buffers of a tensor: codes, scales, sums and padding."""
    return sum(buffer.nbytes for buffer in tensor.buffers() if buffer is not None)


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")
