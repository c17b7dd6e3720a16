"""What a model is made of: the format, the true bits and the error of each tensor, and its certificate."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from arrowmind.quantize.precision import stored_bytes
from arrowmind.quantize.report import stored_report
from arrowmind.weights import open_weights
from arrowmind.weights.roles import INPUT_SCALE, is_like_a_table, role_of, split_name

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from arrowmind.quantize.report import PrecisionReport
    from arrowmind.weights import WeightSource

__all__ = ["Certificate", "Explanation", "TensorExplanation", "Total", "explain"]

_PARTS = ("embeddings", "head", "matrices", "vectors")


@dataclass(frozen=True)
class TensorExplanation:
    """One tensor.

    Attributes:
        name: its key.
        role: ``linear``, ``table`` or ``vector``.
        shape: as in the original.
        quant_type: ``fp32``, ``fp16``, ``int8``, ``int4``, ``int2``, ``fp4``, ``trellis2``
            or ``trellis3``.
        group_size: values of a row that share a scale, 0 for whole rows; None for floats.
        scale_type: how scales are stored; empty for floats.
        zero_points: whether its codes have them.
        layout: order of its elements.
        activation: how activations meet it.
        bytes: codes, scales, zero points, sums and padding.
        bits_per_weight: 8 * bytes / elements.
        error: ||difference|| / ||original||, from the report; None where there is no report, and of what the
            original does not have.
    """

    name: str
    role: str
    shape: tuple[int, ...]
    quant_type: str
    group_size: int | None
    scale_type: str
    zero_points: bool
    layout: str
    activation: str
    bytes: int
    bits_per_weight: float
    error: float | None


@dataclass(frozen=True)
class Total:
    """A sum over tensors.

    Attributes:
        tensors: how many.
        weights: elements.
        bytes: scales and padding included.
        bits_per_weight: 8 * bytes / elements; 0 for no tensors.
    """

    tensors: int
    weights: int
    bytes: int
    bits_per_weight: float


@dataclass(frozen=True)
class Certificate:
    """How the codes were found, and what the check of the result said.

    Attributes:
        verdict: ``passed``, ``refused`` or ``not measured``.
        figures: by name; None where not measured.
        thresholds: by name.
        texts: number of texts the check embedded.
        method: of the quantiser; empty where it is not known.
        seed: of the quantiser.
        calibration_sha256: of the calibration texts; empty when none were read.
        swapped: tensors that got a wider type to reach the thresholds, by name: ``int4 -> int8``.
        reference: fingerprint of the original's weights.
        candidate: fingerprint of the weights that were checked.
        is_of_these_weights: whether those are the weights beside it.
        finished: UTC time of the check, ISO 8601.
    """

    verdict: str
    figures: dict[str, float | None]
    thresholds: dict[str, float]
    texts: int
    method: str
    seed: int
    calibration_sha256: str
    swapped: dict[str, str]
    reference: str
    candidate: str
    is_of_these_weights: bool
    finished: str


@dataclass(frozen=True)
class Explanation:
    """A model, tensor by tensor.

    Attributes:
        path: of its weights.
        kind: of weights, see :class:`arrowmind.weights.WeightSource`.
        tensors: in file order.
        total: of all.
        without_tables: of all but embedding tables and output heads: of a language model, its decoder.
        parts: of each part that there is: ``embeddings``, ``head``, and of what remains ``matrices`` and
            ``vectors`` (biases, norms, input scales).
        certificate: None where the weights carry no report of a precision check.
    """

    path: str
    kind: str
    tensors: tuple[TensorExplanation, ...]
    total: Total
    without_tables: Total
    parts: dict[str, Total]
    certificate: Certificate | None

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def explain(path: str | os.PathLike[str]) -> Explanation:
    """Describes a model of any kind that :func:`arrowmind.weights.open_weights` opens.

    Args:
        path: a model folder or a weight file.

    Returns:
        Its tensors and its certificate. No codes are read of ``weights.arrow``.

    Raises:
        WeightError: the model cannot be opened, or its report is damaged.
    """
    with open_weights(path) as weights:
        report = stored_report(weights)
        tensors = tuple(_tensor(name, weights, report) for name in weights.names())
        return Explanation(
            path=str(weights.path),
            kind=weights.kind,
            tensors=tensors,
            total=_total(tensors),
            without_tables=_total(
                tensor for tensor in tensors if not is_like_a_table(tensor.name, tensor.shape)
            ),
            parts=_parts(tensors),
            certificate=None if report is None else _certificate(report, weights.fingerprint),
        )


def _tensor(name: str, weights: WeightSource, report: PrecisionReport | None) -> TensorExplanation:
    tensor = weights.tensor(name)
    spec, size = tensor.spec, stored_bytes(tensor)
    coded = tensor.scales is not None
    return TensorExplanation(
        name=name,
        role=role_of(name, spec.shape),
        shape=spec.shape,
        quant_type=spec.quant_type,
        group_size=max(0, spec.group_size) if coded else None,
        scale_type=(spec.scale_type or "fp32") if coded else "",
        zero_points=tensor.zero_points is not None,
        layout=spec.layout,
        activation=spec.activation,
        bytes=size,
        bits_per_weight=8 * size / max(1, math.prod(spec.shape)),
        error=_error(name, report),
    )


def _error(name: str, report: PrecisionReport | None) -> float | None:
    is_new = split_name(name)[1] == INPUT_SCALE  # the original has none
    return None if report is None or not report.reference or is_new else report.tensors.get(name, 0.0)


def _total(tensors: Iterable[TensorExplanation]) -> Total:
    listed = list(tensors)
    weights, size = sum(math.prod(item.shape) for item in listed), sum(item.bytes for item in listed)
    return Total(len(listed), weights, size, 8 * size / max(1, weights))


def _parts(tensors: Iterable[TensorExplanation]) -> dict[str, Total]:
    listed: dict[str, list[TensorExplanation]] = {part: [] for part in _PARTS}
    for tensor in tensors:
        listed[_part(tensor)].append(tensor)
    return {part: _total(found) for part, found in listed.items() if found}


def _part(tensor: TensorExplanation) -> str:
    if tensor.role == "table":
        return "embeddings"
    if is_like_a_table(tensor.name, tensor.shape):
        return "head"
    return "matrices" if tensor.role == "linear" else "vectors"


def _certificate(report: PrecisionReport, fingerprint: str) -> Certificate:
    return Certificate(
        verdict=report.verdict,
        figures=report.figures,
        thresholds={name: getattr(report.thresholds, name) for name in report.figures},
        texts=report.texts,
        method=report.method,
        seed=report.seed,
        calibration_sha256=report.calibration_sha256,
        swapped=report.swapped,
        reference=report.reference,
        candidate=report.candidate,
        is_of_these_weights=report.candidate == fingerprint,
        finished=report.finished,
    )
