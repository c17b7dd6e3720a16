"""Rotary frequencies from a decoder's config.json."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind.errors import WeightError
from arrowmind.models.decoder_spec import Rope
from arrowmind.models.settings import ModelConfig

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["plain_rope", "read_rope", "score_factor"]


def read_rope(config: ModelConfig, head_dim: int, part: str = "") -> Rope:
    """The rotation that `config` describes.

    Args:
        config: with `rope_theta` and `rope_scaling`, or both in `rope_parameters`; and the factors that a
            GGUF file held, under `arrowmind`.
        head_dim: columns of a head; all of them turn.
        part: of `rope_parameters`, where it holds several.

    Raises:
        WeightError: the scaling is of a kind that is not served, or a value is wrong.
    """
    if head_dim % 2:
        raise WeightError(f"config.json: heads of {head_dim} columns cannot be rotated; an even number can")
    scaling = _parameters(config, part)
    base = plain_frequencies(scaling.number("rope_theta", config.number("rope_theta", 10000.0)), head_dim)
    kind = _kind(scaling)
    if kind not in _SCALINGS:
        raise WeightError(
            f"config.json: rope_scaling of type {kind!r} is not supported; supported are "
            f"{', '.join(_SCALINGS)}"
        )
    rope = _SCALINGS[kind](scaling, base, config)
    factors = config.mapping("arrowmind").get("rope_factors")
    return rope if factors is None else _divided(rope, factors)


def score_factor(config: ModelConfig) -> float:
    """What attention scores are multiplied by where the rotation is stretched and says so."""
    scaling = _parameters(config, "")
    share = scaling.amount("mscale_all_dim")
    return _loudness(scaling.number("factor"), share) ** 2 if share and _kind(scaling) != "default" else 1.0


def _parameters(config: ModelConfig, part: str) -> ModelConfig:
    joined = config.mapping("rope_parameters")
    return ModelConfig(
        joined.get(part) or joined or config.mapping("rope_scaling"), "parameters of the rotation: "
    )


def _kind(scaling: ModelConfig) -> str:
    return scaling.text("rope_type", scaling.text("type", "default"))


def plain_rope(theta: float, head_dim: int) -> Rope:
    """The rotation of this base, unscaled."""
    return _rope(plain_frequencies(theta, head_dim))


def plain_frequencies(theta: float, head_dim: int) -> NDArray[np.float64]:
    """theta^(-2 i / head_dim) for each pair i."""
    return np.asarray(theta ** (-np.arange(0, head_dim, 2, dtype=np.float64) / head_dim))


def _rope(frequencies: NDArray[np.float64], factor: float = 1.0) -> Rope:
    return Rope(tuple(float(value) for value in frequencies.astype(np.float32)), factor)


def _divided(rope: Rope, factors: Any) -> Rope:
    """Each frequency by a factor of its own."""
    given = np.asarray(factors, dtype=np.float64) if isinstance(factors, list) else np.empty(0)
    if len(given) != len(rope.frequencies) or not (given > 0).all():
        raise WeightError(
            f"config.json: arrowmind.rope_factors are no {len(rope.frequencies)} positive numbers"
        )
    return _rope(np.asarray(rope.frequencies) / given, rope.factor)


def _unscaled(_: ModelConfig, base: NDArray[np.float64], __: ModelConfig) -> Rope:
    return _rope(base)


def _linear(scaling: ModelConfig, base: NDArray[np.float64], _: ModelConfig) -> Rope:
    return _rope(base / scaling.number("factor"))


def _llama3(scaling: ModelConfig, base: NDArray[np.float64], _: ModelConfig) -> Rope:
    """Long waves are stretched, short ones are not, and those between are in part."""
    low, high = scaling.number("low_freq_factor"), scaling.number("high_freq_factor")
    turns = scaling.integer("original_max_position_embeddings") * base / (2 * math.pi)
    part = np.clip((turns - low) / (high - low), 0.0, 1.0) if high != low else (turns >= low).astype(float)
    return _rope(base * (part + (1 - part) / scaling.number("factor")))


def _yarn(scaling: ModelConfig, base: NDArray[np.float64], config: ModelConfig) -> Rope:
    """By turns within the original length: fast pairs stay, slow ones are stretched, a ramp between."""
    factor = scaling.number("factor")
    length = scaling.integer(
        "original_max_position_embeddings", config.integer("max_position_embeddings", 2048)
    )
    size = 2 * len(base)
    # The base of the powers, from its second one.
    theta = base[1] ** (-size / 2) if len(base) > 1 else 1e4

    def pair_of(turns: float) -> float:
        return size * math.log(length / (turns * 2 * math.pi)) / (2 * math.log(theta))

    low = max(math.floor(pair_of(scaling.number("beta_fast", 32.0))), 0)
    high = min(math.ceil(pair_of(scaling.number("beta_slow", 1.0))), size - 1)
    ramp = np.clip((np.arange(len(base)) - low) / max(high - low, 0.001), 0.0, 1.0)
    shares = scaling.amount("mscale"), scaling.amount("mscale_all_dim")
    own = _loudness(factor, shares[0]) / _loudness(factor, shares[1]) if all(shares) else _loudness(factor)
    return _rope(base * (1 - ramp) + base / factor * ramp, scaling.number("attention_factor", own))


def _loudness(factor: float, share: float = 1.0) -> float:
    """Of cosines and sines that are stretched by `factor`."""
    return 0.1 * share * math.log(factor) + 1 if factor > 1 else 1.0


_SCALINGS: dict[str, Callable[[ModelConfig, NDArray[np.float64], ModelConfig], Rope]] = {
    "default": _unscaled,
    "linear": _linear,
    "llama3": _llama3,
    "yarn": _yarn,
}
