"""How models become small, and what they must reach."""

from __future__ import annotations

from arrowmind.config.keys import setting
from arrowmind.frozen import dataclass

__all__ = ["PrecisionSettings", "QuantizationSettings"]


@dataclass(frozen=True)
class QuantizationSettings:
    """How `arrowmind quantize` turns numbers into codes."""

    type: str = setting(
        "int8", "Type of the codes.", choices=("int8", "int4", "int2", "fp4", "trellis2", "trellis3")
    )
    calibration: str = setting("ptq", "How codes are found.", choices=("ptq", "gptq", "distill"))
    symmetric: bool = setting(False, "Codes centred on zero; false adds a zero point per channel: closer.")
    activation: str = setting(
        "auto",
        "Bits of the activations that meet the codes; auto chooses per tensor.",
        choices=("auto", "int16", "int8", "fp32"),
    )
    smoothing: float = setting(
        0.5, "Share of what inputs vary by that moves to the matrices; 0: no calibration.", low=0, high=1
    )
    keep: tuple[str, ...] = setting((), "Tensors or layers that stay in floating point: names or globs.")
    keep_type: str = setting("fp16", "Type of what stays in floating point.", choices=("fp16", "fp32"))
    vector_type: str = setting("fp32", "Type of biases and norms.", choices=("int8", "fp16", "fp32"))
    on_failure: str = setting(
        "refuse",
        "When the result is below a threshold: refuse it, or swap its worst tensors for wider ones.",
        choices=("refuse", "swap"),
    )


@dataclass(frozen=True)
class PrecisionSettings:
    """What a quantised model must reach, or it is refused."""

    cosine_mean: float = setting(0.999, "Smallest mean cosine to the original embeddings.", low=-1, high=1)
    cosine_min: float = setting(0.997, "Smallest cosine of any text.", low=-1, high=1)
    overlap_at_10: float = setting(
        0.95, "Smallest mean share of a text's ten nearest that the original finds, too.", low=0, high=1
    )
    perplexity_ratio: float = setting(
        1.01, "Largest perplexity of a language model by the original's.", low=0, high=1e9
    )
    kl_mean: float = setting(
        0.01, "Largest mean divergence from what the original foretells, in nats.", low=0, high=1e9
    )
    kl_99: float = setting(0.1, "Largest divergence of 99 % of the tokens, in nats.", low=0, high=1e9)
    top1_agreement: float = setting(
        0.95, "Smallest share of tokens with the same most likely one.", low=0, high=1
    )
    generation_agreement: float = setting(
        0.9, "Smallest share of what it writes that the original would have chosen.", low=0, high=1
    )
    below: str = setting(
        "refuse",
        "When a model that is opened is below a threshold: refuse it, or log a warning.",
        choices=("refuse", "warn"),
    )
