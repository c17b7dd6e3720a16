"""The report of the precision check: what was measured, what was asked for, how the codes were found."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from arrowmind.errors import PrecisionError, WeightError
from arrowmind.quantize.measures import EMBEDDING, LANGUAGE, MEASURES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arrowmind.quantize.measures import Measure
    from arrowmind.weights import WeightSource

__all__ = [
    "NOT_MEASURED",
    "PASSED",
    "REFUSED",
    "PrecisionReport",
    "Thresholds",
    "hash_of_texts",
    "stored_report",
]

PASSED, REFUSED, NOT_MEASURED = "passed", "refused", "not measured"
_DEFAULTS = {measure.name: measure.bound for measure in MEASURES}
_LARGE = 1e300
# A bound that everything keeps.
_FREE = 1e9
_KINDS: dict[str, Any] = {
    "str": str,
    "int": int,
    "float": (int, float),
    "float | None": (int, float, type(None)),
    "dict[str, float]": dict,
    "dict[str, str]": dict,
    "Thresholds": dict,
}


@dataclass(frozen=True)
class Thresholds:
    """What a model must reach.

    Attributes:
        cosine_mean: of the cosine to the original's embeddings, the mean over texts.
        cosine_min: the smallest of any text.
        overlap_at_10: mean share of the ten nearest texts that both models agree on.
        perplexity_ratio: of a language model, at most: its perplexity by the original's.
        kl_mean: at most: mean Kullback-Leibler divergence of what both foretell of a token, in nats.
        kl_99: at most: that which 99 % of the tokens stay below.
        top1_agreement: share of tokens of which both hold the same for the most likely.
        generation_agreement: share of the tokens of greedy continuations that the original would choose, too.
    """

    cosine_mean: float = _DEFAULTS["cosine_mean"]
    cosine_min: float = _DEFAULTS["cosine_min"]
    overlap_at_10: float = _DEFAULTS["overlap_at_10"]
    perplexity_ratio: float = _DEFAULTS["perplexity_ratio"]
    kl_mean: float = _DEFAULTS["kl_mean"]
    kl_99: float = _DEFAULTS["kl_99"]
    top1_agreement: float = _DEFAULTS["top1_agreement"]
    generation_agreement: float = _DEFAULTS["generation_agreement"]


@dataclass
class PrecisionReport:
    """What the check measured. Kept in the weight file as JSON; ``str()`` of it is for people.

    Attributes:
        verdict: ``passed``, ``refused``, or ``not measured`` when there was nothing to embed texts with.
        thresholds: what was asked for.
        texts: number of texts compared.
        cosine_mean: mean cosine of both embeddings of a text; None when not measured.
        cosine_min: smallest cosine.
        overlap_at_10: mean share of a text's ten nearest that both models agree on, found among the texts
            compared and the built-in calibration texts; None when not measured.
        perplexity_ratio: see :class:`Thresholds`, like the four that follow; None but for language models.
        kl_mean: likewise.
        kl_99: likewise.
        top1_agreement: likewise.
        generation_agreement: likewise.
        perplexity: of the model checked, on the texts; None but for language models.
        tokens: number of tokens foretold.
        worst_text: the text of the smallest cosine or of the largest mean divergence, shortened.
        tensors: relative error of each tensor that differs, ||difference|| / ||original||.
        bits_per_weight: all bits of the file's tensors, scales and padding included, per weight.
        bits_per_weight_without_tables: the same without embedding tables.
        bytes: of all tensors, scales and padding included.
        reference_bytes: the same of the original.
        reference: fingerprint of the original's weights.
        candidate: fingerprint of the weights checked.
        method: of the quantiser: ``ptq``, ``gptq`` or ``distill``; empty where no quantiser was at work.
        calibration_sha256: of the calibration texts, see :func:`hash_of_texts`; empty when none were read.
        seed: of the quantiser.
        swapped: tensors that got a wider type because the check refused the first result, by name:
            ``int4 -> int8``.
        started: UTC time, ISO 8601.
        finished: UTC time, ISO 8601.
    """

    verdict: str = NOT_MEASURED
    thresholds: Thresholds = field(default_factory=Thresholds)
    texts: int = 0
    cosine_mean: float | None = None
    cosine_min: float | None = None
    overlap_at_10: float | None = None
    perplexity_ratio: float | None = None
    kl_mean: float | None = None
    kl_99: float | None = None
    top1_agreement: float | None = None
    generation_agreement: float | None = None
    perplexity: float | None = None
    tokens: int = 0
    worst_text: str = ""
    tensors: dict[str, float] = field(default_factory=dict)
    bits_per_weight: float = 0.0
    bits_per_weight_without_tables: float = 0.0
    bytes: int = 0
    reference_bytes: int = 0
    reference: str = ""
    candidate: str = ""
    method: str = ""
    calibration_sha256: str = ""
    seed: int = 0
    swapped: dict[str, str] = field(default_factory=dict)
    started: str = ""
    finished: str = ""

    @property
    def passed(self) -> bool:
        """Whether the embeddings were measured and reach the thresholds."""
        return self.verdict == PASSED

    @property
    def measures(self) -> tuple[Measure, ...]:
        """What is measured of this kind of model."""
        return EMBEDDING if self.perplexity is None else LANGUAGE

    @property
    def figures(self) -> dict[str, float | None]:
        """What was measured, by the names of :attr:`measures`."""
        return {measure.name: getattr(self, measure.name) for measure in self.measures}

    @property
    def measured(self) -> list[tuple[Measure, float]]:
        """The measures that have a figure, with it."""
        figures = self.figures
        return [
            (measure, figure) for measure in self.measures if (figure := figures[measure.name]) is not None
        ]

    def judge(self) -> None:
        """Sets the verdict: ``refused`` if a figure that was measured does not keep its threshold."""
        measured = self.measured
        reached = all(
            measure.accepts(value, getattr(self.thresholds, measure.name)) for measure, value in measured
        )
        self.verdict = NOT_MEASURED if not measured else PASSED if reached else REFUSED

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> PrecisionReport:
        """The inverse of :meth:`to_dict`; keys of later versions are left out.

        Raises:
            WeightError: a value is of another type.
        """
        known = _checked(cls, values)
        # What an earlier version did not measure, it did not ask for.
        unasked = {measure.name: _FREE if measure.at_most else -1.0 for measure in MEASURES}
        asked = unasked | _checked(Thresholds, known.get("thresholds", {}))
        return cls(**{**known, "thresholds": Thresholds(**asked)} if known else {})

    def raise_if_refused(self) -> None:
        """Raises PrecisionError, naming all figures, if the verdict is ``refused``."""
        if self.verdict == REFUSED:
            figures = ", ".join(
                f"{measure.title} {_figure(figure)} "
                f"({measure.demand(getattr(self.thresholds, measure.name))} needed)"
                for measure, figure in self.measured
            )
            raise PrecisionError(
                f"precision is below the threshold: {figures}, of {self.texts} texts, worst "
                f"{self.worst_text!r}; have its worst tensors made wider (on_failure='swap'), keep sensitive "
                "layers in fp16 (keep=...), or lower the thresholds"
            )

    def __str__(self) -> str:
        lines = [f"precision check: {self.verdict} ({self.finished})"]
        lines += [
            f"  {measure.title:<16} {_figure(getattr(self, measure.name))}   "
            f"({measure.demand(getattr(self.thresholds, measure.name))})"
            for measure in self.measures
        ]
        lines += [f"  texts            {self.texts}"]
        if self.perplexity is not None:
            lines += [f"  perplexity       {self.perplexity:.4f} ({self.tokens} tokens)"]
        if self.method:
            lines += [f"  method           {self.method}, seed {self.seed}"]
        if self.calibration_sha256:
            lines += [f"  calibration      sha256 {self.calibration_sha256}"]
        if self.reference_bytes:
            share = 100 * self.bytes / self.reference_bytes
            lines += [
                f"  bytes            {self.bytes:,} ({share:.1f} % of the {self.reference_bytes:,} before)",
                f"  bits per weight  {self.bits_per_weight:.3f} ({self.bits_per_weight_without_tables:.3f} "
                "without embedding tables)",
            ]
        lines += [f"  made wider       {name}: {change}" for name, change in self.swapped.items()]
        worst = sorted(self.tensors.items(), key=lambda item: -item[1])[:3]
        lines += [f"  relative error   {error:.5f} {name}" for name, error in worst]
        return "\n".join(lines)


def stored_report(weights: WeightSource) -> PrecisionReport | None:
    """The report that weights carry; None where there is none.

    Raises:
        WeightError: it is damaged.
    """
    try:
        return PrecisionReport.from_dict(weights.precision) if weights.precision else None
    except WeightError as error:
        raise WeightError(f"{weights.path}: {error}") from error


def hash_of_texts(texts: Sequence[str]) -> str:
    """SHA-256 of texts in their order, as hex digits; empty for none.

    Each text is hashed as its length in bytes, 8 bytes little-endian, and its bytes in UTF-8.
    """
    digest = sha256()
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest() if texts else ""


def _checked(cls: type[Any], values: Any) -> dict[str, Any]:
    """The values that are fields of a dataclass, each of its type."""
    if not isinstance(values, dict):
        raise WeightError(f"the precision report holds {values!r:.80} for {cls.__name__}; quantise it again")
    known = {}
    for item in fields(cls):
        value = values.get(item.name, item)
        if value is item:
            continue
        fits = isinstance(value, _KINDS[str(item.type)]) and not isinstance(value, bool)
        of_tensors = item.type == "dict[str, float]" and fits
        fits &= not of_tensors or all(isinstance(number, int | float) for number in value.values())
        if item.type == "dict[str, str]" and fits:
            fits = all(isinstance(text, str) for text in value.values())
        if not fits or not all(map(_is_finite, value.values() if of_tensors else [value])):
            raise WeightError(
                f"the precision report holds {value!r:.80} as {item.name}, which is no {item.type}; "
                "quantise the model again"
            )
        known[item.name] = value
    return known


def _is_finite(value: object) -> bool:
    """False for what no float can hold; integers may be beyond them. What is no number is left to others."""
    return not isinstance(value, int | float) or abs(value) < _LARGE


def _figure(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.6f}"
