"""How a model is quantised."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import Any

from arrowmind.errors import InvalidArgumentError

__all__ = ["ACTIVATION_CHOICES", "QuantizationConfig", "matches"]

ACTIVATION_CHOICES = ("auto", "int16", "int8", "fp32")

_CHOICES = {
    "quant_type": ("int8",),
    "calibration": ("ptq",),
    "activation": ACTIVATION_CHOICES,
    "keep_type": ("fp16", "fp32"),
}


@dataclass(frozen=True)
class QuantizationConfig:
    """Choices of :class:`ArrowQuantizer`; stored in the file it makes.

    Attributes:
        quant_type: type of the codes: ``int8``.
        calibration: how ranges are found: ``ptq``, by search, from the weights and a few calibration texts.
        symmetric: codes of matrices centred on zero; false adds a zero point per channel, which is closer
            where a row's values lie to one side, and costs one multiplication per output.
        per_channel: a scale per output (row of a table); false gives one scale per matrix.
        range_search: clip the range where that makes the squared error smaller.
        activation: how activations meet int8 matrices: ``int16`` and ``int8`` codes per token, ``fp32``, or
            ``auto``: int8 where calibration found input scales, and for matrices that lose nothing by it;
            int16 for the others.
        smoothing: how much of what inputs vary by goes over to the columns of their matrices, 0 to 1; 0 turns
            calibration off.
        keep: names or globs of tensors that stay in floating point, for instance ``*.layer.5.*``.
        keep_type: ``fp16`` or ``fp32``, what they stay in (their biases and norms are fp32 in any case).
        cosine_mean: smallest mean cosine to the original's embeddings; below it the result is refused.
        cosine_min: smallest cosine of any text.
        seed: of whatever is random in calibration.
    """

    quant_type: str = "int8"
    calibration: str = "ptq"
    symmetric: bool = False
    per_channel: bool = True
    range_search: bool = True
    activation: str = "auto"
    smoothing: float = 0.5
    keep: tuple[str, ...] = ()
    keep_type: str = "fp16"
    cosine_mean: float = 0.999
    cosine_min: float = 0.997
    seed: int = 0

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            value = getattr(self, name)
            if value not in choices:
                raise InvalidArgumentError(f"{name} {value!r} is not served; use {' or '.join(choices)}")
        if isinstance(self.keep, str):
            raise InvalidArgumentError(f"keep {self.keep!r} is one string; give a sequence of names or globs")
        object.__setattr__(self, "keep", tuple(self.keep))
        if not 0 <= self.smoothing <= 1:
            raise InvalidArgumentError(f"smoothing {self.smoothing} is out of range; use 0 to 1")
        for name in ("cosine_mean", "cosine_min"):
            if not -1 <= getattr(self, name) <= 1:
                raise InvalidArgumentError(f"{name} {getattr(self, name)} is no cosine; use -1 to 1")

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "keep": list(self.keep)}


def matches(name: str, patterns: tuple[str, ...]) -> bool:
    """Whether a tensor's name, or the name of its layer, is one of ``patterns`` or fits one as a glob."""
    layer = name.rpartition(".")[0]
    return any(fnmatchcase(name, pattern) or fnmatchcase(layer, pattern) for pattern in patterns)
