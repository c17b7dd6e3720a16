"""How a model is quantised."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from arrowmind.errors import InvalidArgumentError, WeightError
from arrowmind.quantize.methods.registry import methods
from arrowmind.quantize.report import Thresholds
from arrowmind.weights.formats import Grid

__all__ = ["ACTIVATION_CHOICES", "QuantizationConfig", "matches"]

ACTIVATION_CHOICES = ("auto", "int16", "int8", "fp32")

_CHOICES = {
    "quant_type": ("int8", "int4", "int2", "fp4", "trellis2", "trellis3"),
    "activation": ACTIVATION_CHOICES,
    "keep_type": ("fp16", "fp32"),
    "vector_type": ("int8", "fp16", "fp32"),
    "table_type": ("int8", "int4", "int2"),
    "on_failure": ("refuse", "swap"),
}
_GROUP_SIZES = (0, 16, 32, 64, 128)


class _Default(NamedTuple):
    group_size: int
    scale_type: str
    zero_points: bool
    cosine_mean: float
    cosine_min: float
    overlap_at_10: float
    perplexity_ratio: float
    kl_mean: float
    kl_99: float
    top1_agreement: float
    generation_agreement: float


# int8 has its zero points by `symmetric`. Thresholds let pass what the better method of each type reaches on
# all-MiniLM-L6-v2, and a fifth more of its loss; figures are in docs/design/0006-quantisation-methods.md.
_DEFAULTS = {
    "int8": _Default(0, "fp32", False, 0.999, 0.997, 0.95, 1.01, 0.01, 0.1, 0.95, 0.9),
    "int4": _Default(32, "fp16", True, 0.985, 0.95, 0.86, 1.05, 0.06, 0.6, 0.85, 0.75),
    "int2": _Default(32, "u8", True, 0.88, 0.58, 0.7, 1.35, 0.35, 2.5, 0.65, 0.5),
    "fp4": _Default(32, "e8m0", False, 0.97, 0.9, 0.83, 1.1, 0.12, 1.0, 0.8, 0.7),
    "trellis2": _Default(128, "fp16", False, 0.88, 0.58, 0.7, 1.35, 0.35, 2.5, 0.65, 0.5),
    "trellis3": _Default(128, "fp16", False, 0.948, 0.83, 0.78, 1.1, 0.12, 1.0, 0.8, 0.7),
}

# Codes bound in fours reach 0.9966 to 0.9971 on the probes, the worst of which is one word: so far it moves
# with the order in which a machine adds up. On texts of 8 tokens and more the smallest is 0.998.
_COSINE_MIN_OF_FOURS = 0.996


@dataclass(frozen=True)
class QuantizationConfig:
    """Choices of :class:`ArrowQuantizer`; stored in the file it makes.

    What is None here takes the default of the type of codes.

    Attributes:
        quant_type: type of the codes of matrices: ``int8``, ``int4``, ``int2``, ``fp4``,
            ``trellis2`` or ``trellis3``.
        calibration: method: ``ptq`` rounds in the best range; ``gptq`` hands errors on, by the moments of
            real inputs; ``distill`` trains through the quantiser (needs torch: the extra ``train``).
        symmetric: int8 codes of matrices centred on zero; false adds a zero point per channel, which is
            closer where a row's values lie to one side, and costs one multiplication per output.
        per_channel: int8: a scale per output (row of a table); false gives one scale per matrix.
        range_search: int8 by ptq: clip the range where that makes the squared error smaller.
        activation: how activations meet int8 matrices: ``int16`` and ``int8`` codes per token, ``fp32``, or
            ``auto``: int8 where calibration found input scales, and for matrices that lose nothing by it;
            int16 for the others. Matrices in groups: ``fp32``, or ``int8`` in blocks, which is ``auto``.
        smoothing: how much of what inputs vary by goes over to the columns of their matrices, 0 to 1; for
            int4 and int2 by ptq and gptq the most that a search may take. 0 does without calibration.
        group_size: values of a row that share a scale: 16, 32, 64, 128, or 0 for the row.
        scale_type: how scales of groups are stored: ``fp16``, ``u8`` (times an fp32 of the row), ``e8m0``
            (powers of two), ``e4m3``; ``fp32`` for rows.
        zero_points: whether groups have zero points (int4, int2).
        pair_bound: symmetric int8: bind codes together (matrix/bound.py), so that products with unsigned
            bytes sum in 16 bits.
        bound_columns: so many codes together: 4, or 2, which is a tenth slower on AVX2 and loses less.
        damping: gptq: added to the diagonal of the moments, as a part of its mean.
        act_order: gptq: columns with the largest inputs first; scales of groups are then found beforehand.
        sweeps: gptq: of coordinate descent afterwards.
        steps: distill: of training; None takes what the type needs.
        size_budget: largest size of all tensors in bytes; widths of matrices are then chosen per tensor, and
            ``quant_type`` says only how activations meet them.
        bits_budget: most bits per weight of all but embedding tables and heads: matrices with their scales,
            biases, norms, and what is kept in floating point; likewise.
        table_type: codes of embedding tables and output heads: ``int8`` with a scale per row, or ``int4`` or
            ``int2`` in groups of 32.
        keep: names or globs of tensors that stay in floating point, for instance ``*.layer.5.*``.
        keep_type: ``fp16`` or ``fp32``, what they stay in.
        vector_type: of biases and norms: ``fp32``, ``fp16``, or ``int8`` with a scale and a zero point for
            each vector. Of a small encoder at 2 bits, fp32 are a thirtieth.
        cosine_mean: smallest mean cosine to the original's embeddings; below it the result is refused.
        cosine_min: smallest cosine of any text; codes bound in fours have a default of their own.
        overlap_at_10: smallest mean share of a text's ten nearest that the original finds, too.
        perplexity_ratio: of a language model: largest perplexity by the original's.
        kl_mean: largest mean divergence from what the original foretells of a token, in nats.
        kl_99: largest divergence of 99 % of the tokens.
        top1_agreement: smallest share of tokens of which both hold the same for the most likely.
        generation_agreement: smallest share of what it writes that the original would have chosen.
        on_failure: what happens to a result below a threshold: ``refuse`` raises; ``swap`` replaces the
            tensors that cost the embeddings most by wider ones, until it is above.
        seed: of whatever is random in calibration.
    """

    quant_type: str = "int8"
    calibration: str = "ptq"
    symmetric: bool = False
    per_channel: bool = True
    range_search: bool = True
    activation: str = "auto"
    smoothing: float = 0.5
    group_size: int | None = None
    scale_type: str | None = None
    zero_points: bool | None = None
    pair_bound: bool = False
    bound_columns: int = 4
    damping: float = 0.01
    act_order: bool = False
    sweeps: int = 3
    steps: int | None = None
    size_budget: int | None = None
    bits_budget: float | None = None
    table_type: str = "int8"
    keep: tuple[str, ...] = ()
    keep_type: str = "fp16"
    vector_type: str = "fp32"
    cosine_mean: float | None = None
    cosine_min: float | None = None
    overlap_at_10: float | None = None
    perplexity_ratio: float | None = None
    kl_mean: float | None = None
    kl_99: float | None = None
    top1_agreement: float | None = None
    generation_agreement: float | None = None
    on_failure: str = "refuse"
    seed: int = 0

    def __post_init__(self) -> None:
        for name, choices in (*_CHOICES.items(), ("calibration", methods())):
            value = getattr(self, name)
            if value not in choices:
                raise InvalidArgumentError(f"{name} {value!r} is not served; use {' or '.join(choices)}")
        if isinstance(self.keep, str):
            raise InvalidArgumentError(f"keep {self.keep!r} is one string; give a sequence of names or globs")
        object.__setattr__(self, "keep", tuple(self.keep))
        self._take_defaults()
        self._check_numbers()
        self._check_grid()

    def _take_defaults(self) -> None:
        default = _DEFAULTS[self.quant_type]
        if self.scale_type is None and self.quant_type == "fp4" and self.group_size == 16:
            object.__setattr__(self, "scale_type", "e4m3")
        if self.scale_type is None and self.group_size == 0:
            object.__setattr__(self, "scale_type", "fp32")
        if self.together > 2 and self.cosine_min is None:
            object.__setattr__(self, "cosine_min", _COSINE_MIN_OF_FOURS)
        for name in _Default._fields:
            if getattr(self, name) is None:
                object.__setattr__(self, name, getattr(default, name))

    def _check_numbers(self) -> None:
        if not 0 <= self.smoothing <= 1:
            raise InvalidArgumentError(f"smoothing {self.smoothing} is out of range; use 0 to 1")
        for name in ("cosine_mean", "cosine_min"):
            if not -1 <= getattr(self, name) <= 1:
                raise InvalidArgumentError(f"{name} {getattr(self, name)} is no cosine; use -1 to 1")
        for name in ("overlap_at_10", "top1_agreement", "generation_agreement"):
            if not 0 <= getattr(self, name) <= 1:
                raise InvalidArgumentError(f"{name} {getattr(self, name)} is no share; use 0 to 1")
        for name in ("perplexity_ratio", "kl_mean", "kl_99"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise InvalidArgumentError(f"{name} {getattr(self, name)} is out of range; use 0 or more")
        if not 0 <= self.damping <= 1:
            raise InvalidArgumentError(
                f"damping {self.damping} is out of range; use 0 to 1, for instance 0.01"
            )
        if not 0 <= self.sweeps <= 100:
            raise InvalidArgumentError(f"sweeps {self.sweeps} is out of range; use 0 to 100")
        for name in ("steps", "size_budget", "bits_budget"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise InvalidArgumentError(f"{name} {value} is out of range; use a number above 0, or None")
        if self.size_budget is not None and self.bits_budget is not None:
            raise InvalidArgumentError("size_budget and bits_budget are two words for one thing; give one")
        if self.on_failure == "swap" and (self.size_budget or self.bits_budget):
            raise InvalidArgumentError(
                "on_failure='swap' makes tensors wider than a budget allows; leave one of them out"
            )

    def _check_grid(self) -> None:
        if self.quant_type == "int8":
            if (self.group_size, self.scale_type, self.zero_points) != (0, "fp32", False):
                raise InvalidArgumentError(
                    "int8 has a scale per row: leave group_size, scale_type and zero_points out "
                    "(symmetric=False gives zero points per row)"
                )
        elif not self.per_channel:
            raise InvalidArgumentError(f"{self.quant_type} has a scale per group; leave per_channel out")
        elif self.activation == "int16":
            raise InvalidArgumentError(
                f"activation int16 does not go with {self.quant_type}; use int8 or fp32"
            )
        if self.pair_bound and not (self.quant_type == "int8" and self.symmetric):
            raise InvalidArgumentError("pair_bound is for symmetric int8 codes; add symmetric=True")
        if self.bound_columns not in (2, 4):
            raise InvalidArgumentError(f"bound_columns={self.bound_columns}: give 2 or 4")
        try:
            self.grid.check()
        except WeightError as error:
            raise InvalidArgumentError(str(error)) from error

    @property
    def together(self) -> int:
        """Columns whose codes are bound together; 1 where they are free."""
        return self.bound_columns if self.pair_bound else 1

    @property
    def thresholds(self) -> Thresholds:
        """What the result must reach."""
        return Thresholds(**{item.name: float(getattr(self, item.name) or 0) for item in fields(Thresholds)})

    @property
    def grid(self) -> Grid:
        """Where matrices go. For int8 with zero points the scheme of rows stands behind it."""
        return Grid(self.quant_type, self.group_size or 0, str(self.scale_type), bool(self.zero_points))

    def keeps(self, name: str) -> bool:
        """Whether a tensor stays in floating point."""
        return matches(name, self.keep)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "keep": list(self.keep)}


def matches(name: str, patterns: tuple[str, ...]) -> bool:
    """Whether a tensor's name, or the name of its layer, is one of ``patterns`` or fits one as a glob."""
    layer = name.rpartition(".")[0]
    return any(fnmatchcase(name, pattern) or fnmatchcase(layer, pattern) for pattern in patterns)
