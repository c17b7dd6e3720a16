"""The precision check: how far a quantised model's results and weights are from the original's."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from arrowmind.errors import InvalidArgumentError
from arrowmind.observe import no_progress
from arrowmind.quantize.calibration_texts import CALIBRATION_TEXTS
from arrowmind.quantize.embedders import registered_embedder
from arrowmind.quantize.foretelling import foretell
from arrowmind.quantize.measures import EMBEDDING, LANGUAGE, Vectors, cosines
from arrowmind.quantize.original import native_folder
from arrowmind.quantize.parallel import spread
from arrowmind.quantize.probes import PROBES
from arrowmind.quantize.report import PrecisionReport, Thresholds, stored_report
from arrowmind.weights import open_weights
from arrowmind.weights.roles import is_like_a_table

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from arrowmind.observe import Progress
    from arrowmind.quantize.embedders import Embedder, EmbedderFactory
    from arrowmind.quantize.foretelling import Foreteller
    from arrowmind.weights import Tensor, WeightSource

__all__ = [
    "check",
    "compare_weights",
    "own_thresholds",
    "stored_bytes",
    "validate",
]


def check(
    reference: Embedder | Foreteller,
    candidate: Embedder | Foreteller,
    texts: Sequence[str] = PROBES,
    thresholds: Thresholds | None = None,
    *,
    background: Sequence[str] = CALIBRATION_TEXTS,
) -> PrecisionReport:
    """Compares two models by what they make of the same texts: encoders, or language models.

    Args:
        reference: the original.
        candidate: the model to judge, of the same kind.
        texts: at least one; held out from any calibration.
        thresholds: what the candidate must reach.
        background: texts that ``texts`` are searched among, beside themselves.

    Returns:
        A report with figures and verdict. A NaN, a zero vector or another shape is a cosine of -1.

    Raises:
        InvalidArgumentError: there are no texts, or the models are of two kinds.
    """
    listed = list(texts)
    if not listed:
        raise InvalidArgumentError("no texts to compare models on; give at least one")
    report = PrecisionReport(thresholds=thresholds or Thresholds(), texts=len(listed), started=_now())
    if callable(reference) and callable(candidate):
        _check_embeddings(report, reference, candidate, listed, background)
    elif not callable(reference) and not callable(candidate):
        _check_foretelling(report, reference, candidate, listed)
    else:
        raise InvalidArgumentError(
            "one model is an encoder and the other a language model; compare models of one kind"
        )
    report.judge()
    report.finished = _now()
    return report


def _check_embeddings(
    report: PrecisionReport,
    reference: Embedder,
    candidate: Embedder,
    texts: list[str],
    background: Sequence[str],
) -> None:
    searched = [*texts, *sorted(set(background) - set(texts))]
    left, right = np.asarray(reference(searched)), np.asarray(candidate(searched))
    vectors = Vectors(left, right, len(texts))
    for measure in EMBEDDING:
        setattr(report, measure.name, measure.find(vectors))
    worst = int(cosines(vectors).argmin())
    describe = getattr(reference, "describe", None)  # of models that see or hear, texts stand for samples
    report.worst_text = (texts[worst] if describe is None else describe(worst, texts[worst]))[:80]


def _check_foretelling(
    report: PrecisionReport, reference: Foreteller, candidate: Foreteller, texts: list[str]
) -> None:
    told = foretell(reference, candidate, texts)
    for measure in LANGUAGE:
        setattr(report, measure.name, measure.find(told))
    report.perplexity, report.tokens = told.perplexities[1], len(told.reference)
    report.worst_text = told.worst_text[:80]


def compare_weights(
    report: PrecisionReport,
    reference: WeightSource,
    candidate: WeightSource,
    progress: Progress = no_progress,
) -> None:
    """Adds to ``report`` what the weights themselves say: errors per tensor, bytes, bits per weight."""
    sizes = {True: [0, 0], False: [0, 0]}  # of tables, of the rest: bits, weights
    originals = set(reference.names())
    report.reference_bytes = 0
    names = candidate.names()
    errors = spread(lambda name: _relative_error(name, reference, candidate), names)
    for done, (name, error) in enumerate(zip(names, errors, strict=True)):
        progress(done, len(names), "comparing")
        tensor = candidate.tensor(name)
        entry = sizes[is_like_a_table(name, tensor.spec.shape)]
        entry[0] += 8 * stored_bytes(tensor)
        entry[1] += int(np.prod(tensor.spec.shape, dtype=np.int64))
        if name in originals:
            originals.remove(name)
            report.reference_bytes += stored_bytes(reference.tensor(name))
        if error > 0:
            report.tensors[name] = float(f"{error:.3g}")
    progress(len(names), len(names), "comparing")
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
    reference_embedder: EmbedderFactory | None = None,
    texts: Sequence[str] = PROBES,
    thresholds: Thresholds | None = None,
    progress: Progress = no_progress,
) -> PrecisionReport:
    """Compares two model folders: weights tensor by tensor, and embeddings where an engine is at hand.

    Args:
        reference: the original, of any kind that :func:`arrowmind.weights.open_weights` opens.
        candidate: the model to judge.
        embedder: opens a folder for embedding; None takes the registered one.
        reference_embedder: opens the reference; None takes `embedder`.
        texts: to embed.
        thresholds: what the candidate must reach; None takes :func:`own_thresholds`.
        progress: told of tensors compared.

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
            opened = zip((reference, candidate), sources, strict=True)
            native = [
                stack.enter_context(native_folder(Path(path), source, progress=progress))
                for path, source in opened
            ]
            original = (reference_embedder or factory)(native[0][0])
            report = check(original, factory(native[1][0]), texts, thresholds)
            sources = [source for _, source in native]
        compare_weights(report, sources[0], sources[1], progress)
        made = stored_report(sources[1]) or report
    for name in ("method", "seed", "calibration_sha256", "swapped"):
        setattr(report, name, getattr(made, name))
    report.finished = _now()
    return report


def _thresholds_of(weights: WeightSource) -> Thresholds:
    made = stored_report(weights)
    return made.thresholds if made else Thresholds()


def _relative_error(name: str, reference: WeightSource, candidate: WeightSource) -> float:
    """||difference|| / ||original||; 0 for what the original does not have."""
    if name not in reference.names():
        return 0.0
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
