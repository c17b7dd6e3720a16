"""Shapes of models that are raced against Hugging Face's: weights are drawn from a seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from arrowmind.bench.language.shape import QWEN2_HALF_BILLION

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LARGE", "RACES", "Race", "encoder_tensors"]


@dataclass(frozen=True)
class Race:
    """A shape and what is asked of it.

    Attributes:
        name: On the command line and in tables.
        config: As in config.json; `qwen2` writes, `bert` encodes.
        forms: Ours, of `arrowmind.bench.language.forms`.
        tokens: That a writer writes after a prompt; of each text of an encoder.
        batch: Texts of an encoder; 1: it writes.
    """

    name: str
    config: Mapping[str, Any]
    forms: tuple[str, ...]
    tokens: int
    batch: int = 1

    @property
    def writes(self) -> bool:
        """Whether it is a language model."""
        return bool(self.config["model_type"] == "qwen2")


_MINILM = {
    "model_type": "bert",
    "hidden_size": 384,
    "intermediate_size": 1536,
    "num_hidden_layers": 6,
    "num_attention_heads": 12,
    "vocab_size": 30_522,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
    "hidden_act": "gelu",
}
# Of Qwen2.5-7B, with a head that is its table: 7.07 thousand million weights, each of which a token meets.
_SEVEN_BILLION = {
    **QWEN2_HALF_BILLION,
    "hidden_size": 3584,
    "intermediate_size": 18_944,
    "num_hidden_layers": 28,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "vocab_size": 152_064,
}
_TINY = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}

RACES = {
    race.name: race
    for race in (
        Race("qwen2.5-0.5b", QWEN2_HALF_BILLION, ("int8", "int4"), 64),
        Race("7b", _SEVEN_BILLION, ("int8", "int4"), 64),
        Race("minilm", _MINILM, ("int8", "fp16"), 64, batch=256),
        # The same way with next to no work, for machines without a card.
        Race("tiny", {**QWEN2_HALF_BILLION, **_TINY, "vocab_size": 300}, ("int8", "int4"), 4),
        Race("tiny-encoder", {**_MINILM, **_TINY, "vocab_size": 300}, ("int8",), 8, batch=4),
    )
}
LARGE = ("qwen2.5-0.5b", "7b", "minilm")
"""Those that a card is measured with."""


def encoder_tensors(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the weights of a BERT."""
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (config["vocab_size"], hidden),
        "embeddings.position_embeddings.weight": (config["max_position_embeddings"], hidden),
        "embeddings.token_type_embeddings.weight": (config["type_vocab_size"], hidden),
    }
    rows: dict[str, tuple[int, ...]] = {"embeddings.LayerNorm": ()}
    for layer in range(config["num_hidden_layers"]):
        root = f"encoder.layer.{layer}."
        rows |= {f"{root}attention.self.{part}": (hidden,) for part in ("query", "key", "value")}
        rows |= {f"{root}attention.output.dense": (hidden,), f"{root}attention.output.LayerNorm": ()}
        rows |= {f"{root}output.LayerNorm": ()}
        shapes[f"{root}intermediate.dense.weight"] = (inner, hidden)
        shapes[f"{root}intermediate.dense.bias"] = (inner,)
        shapes[f"{root}output.dense.weight"] = (hidden, inner)
        shapes[f"{root}output.dense.bias"] = (hidden,)
    for name, more in rows.items():
        shapes[f"{name}.weight"] = (*more, hidden)
        shapes[f"{name}.bias"] = (hidden,)
    return shapes
