"""What the files of decoder families share: one block, from config.json and the keys that they all use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arrowmind.errors import WeightError
from arrowmind.frozen import dataclass
from arrowmind.models.decoder_spec import (
    DecoderAttention,
    DecoderBlock,
    DecoderSpec,
    GatedFeedForward,
    Head,
    RmsNorm,
)
from arrowmind.models.rope_settings import read_rope
from arrowmind.models.spec import Linear

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from arrowmind.models.decoder_spec import Gate, LatentAttention, Rope, RoutedFeedForward
    from arrowmind.models.settings import ModelConfig

__all__ = ["BlockKeys", "Traits", "build_decoder", "no_window", "windows_of_kinds"]

_GATES: dict[str, Gate] = {"silu": "silu", "gelu": "gelu", "gelu_pytorch_tanh": "gelu-tanh"}
_ROOTS = ("model.", "", "model.language_model.", "language_model.model.")
_SLIDING = "sliding_attention"


def no_window(config: ModelConfig, index: int) -> int | None:  # noqa: ARG001  every block sees everything
    """The window of a family without windows."""
    return None


def windows_of_kinds(config: ModelConfig, index: int) -> int | None:
    """The window of block `index` by its kind in `layer_types`; none where that list is missing."""
    kinds = config.texts("layer_types")
    if kinds is None or not config.has("sliding_window"):
        return None
    if index >= len(kinds):
        raise WeightError(f"config.json: layer_types has {len(kinds)} entries, and there are more layers")
    return config.integer("sliding_window") if kinds[index] == _SLIDING else None


@dataclass(frozen=True)
class BlockKeys:
    """A block of a model, for what a family says of it.

    Attributes:
        config: of the model.
        names: of all its tensors.
        index: of the block.
        key: what the names of its tensors begin with.
        activation: of its feed-forward.
    """

    config: ModelConfig
    names: Collection[str]
    index: int
    key: str
    activation: Gate

    def linear(self, name: str) -> Linear:
        """The layer called `name`, with a bias where there is one."""
        bias = f"{self.key}{name}.bias"
        return Linear(f"{self.key}{name}.weight", bias if bias in self.names else None)

    def gated(
        self, name: str, parts: tuple[str, str, str] = ("gate_proj", "up_proj", "down_proj")
    ) -> GatedFeedForward:
        """The feed-forward called `name`, of matrices called `parts`."""
        gate, up, down = (self.linear(f"{name}.{part}") for part in parts)
        return GatedFeedForward(gate, up, down, self.activation)


@dataclass(frozen=True)
class Traits:
    """What a family does its own way.

    Attributes:
        activation: key of config.json that names the gate.
        default_activation: the gate where it does not.
        head_norms: whether queries and keys are normalised head by head.
        norm_offset: added to the weights of norms.
        output_norms: whether what attention and feed-forward add is normalised, too.
        scaled_embedding: whether embeddings are multiplied by the root of their length.
        window: keys that a token of a block sees, by the number of the block; None for all.
        rope: the rotation of a block, by its window and the columns of a head.
        routed: the experts of a block; None for a block that has none.
        latent: the attention of a block, where it is of that kind.
    """

    activation: str = "hidden_act"
    default_activation: str = "silu"
    head_norms: bool = False
    norm_offset: float = 0.0
    output_norms: bool = False
    scaled_embedding: bool = False
    window: Callable[[ModelConfig, int], int | None] = no_window
    rope: Callable[[ModelConfig, int | None, int], Rope] | None = None
    routed: Callable[[BlockKeys], RoutedFeedForward | None] | None = None
    latent: Callable[[BlockKeys], LatentAttention] | None = None


def build_decoder(
    config: ModelConfig, names: Collection[str], family: str, traits: Traits | None = None
) -> DecoderSpec:
    """The decoder that `config` describes, over weights called `names`.

    Raises:
        WeightError: a value is missing or wrong, or the weights are another model's.
    """
    return _Builder(config, names, traits or Traits()).build(family)


class _Builder:
    def __init__(self, config: ModelConfig, names: Collection[str], traits: Traits) -> None:
        self._config, self._names, self._traits = config, frozenset(names), traits
        self._root = _root(self._names)
        self._hidden = config.integer("hidden_size")
        self._heads = config.integer("num_attention_heads")
        self._key_heads = config.integer("num_key_value_heads", self._heads)
        self._head_dim = config.integer("head_dim", max(self._hidden // self._heads, 1))
        self._epsilon = config.number("rms_norm_eps", 1e-6)
        self._ropes: dict[int | None, Rope] = {}
        self._check()

    def build(self, family: str) -> DecoderSpec:
        config = self._config
        return DecoderSpec(
            family=family,
            hidden=self._hidden,
            vocabulary=config.integer("vocab_size"),
            max_tokens=config.integer("max_position_embeddings", 2048),
            embedding=self._table,
            blocks=tuple(self._block(index) for index in range(config.integer("num_hidden_layers"))),
            head=self._head(),
            embedding_scale=float(self._hidden) ** 0.5 if self._traits.scaled_embedding else 1.0,
        )

    @property
    def _table(self) -> str:
        return f"{self._root}embed_tokens.weight"

    def _check(self) -> None:
        if self._heads % self._key_heads:
            raise WeightError(
                f"config.json: num_attention_heads {self._heads} is not a multiple of num_key_value_heads "
                f"{self._key_heads}"
            )
        if not self._config.has("head_dim") and self._hidden % self._heads:
            raise WeightError(
                f"config.json: hidden_size {self._hidden} is not a multiple of num_attention_heads "
                f"{self._heads}, and there is no head_dim"
            )

    def _block(self, index: int) -> DecoderBlock:
        key = f"{self._root}layers.{index}."
        doubled = self._traits.output_norms
        before, after = ("pre_feedforward", "post_feedforward") if doubled else ("post_attention", "")
        keys = BlockKeys(self._config, self._names, index, key, self._activation())
        latent = self._traits.latent
        return DecoderBlock(
            attention=self._attention(f"{key}self_attn.", index) if latent is None else latent(keys),
            attention_norm=self._norm(f"{key}input_layernorm"),
            feed_forward=self._feed_forward(keys),
            feed_forward_norm=self._norm(f"{key}{before}_layernorm"),
            attention_output_norm=self._norm(f"{key}post_attention_layernorm") if doubled else None,
            feed_forward_output_norm=self._norm(f"{key}{after}_layernorm") if doubled else None,
        )

    def _feed_forward(self, block: BlockKeys) -> GatedFeedForward | RoutedFeedForward:
        routed = None if self._traits.routed is None else self._traits.routed(block)
        return routed or block.gated("mlp")

    def _attention(self, key: str, index: int) -> DecoderAttention:
        config, normed = self._config, self._traits.head_norms
        window = self._traits.window(config, index)
        return DecoderAttention(
            query=self._linear(f"{key}q_proj"),
            key=self._linear(f"{key}k_proj"),
            value=self._linear(f"{key}v_proj"),
            output=self._linear(f"{key}o_proj"),
            heads=self._heads,
            key_heads=self._key_heads,
            head_dim=self._head_dim,
            scale=config.number("query_pre_attn_scalar", self._head_dim) ** -0.5,
            rope=self._rope(window),
            query_norm=self._norm(f"{key}q_norm") if normed else None,
            key_norm=self._norm(f"{key}k_norm") if normed else None,
            window=window,
            cap=self._cap("attn_logit_softcapping"),
        )

    def _rope(self, window: int | None) -> Rope:
        if window not in self._ropes:
            make = self._traits.rope
            size = self._head_dim
            self._ropes[window] = (
                make(self._config, window, size) if make is not None else read_rope(self._config, size)
            )
        return self._ropes[window]

    def _head(self) -> Head:
        norm, cap = self._norm(f"{self._root}norm"), self._cap("final_logit_softcapping")
        own = [name for name in ("lm_head.weight", "language_model.lm_head.weight") if name in self._names]
        tied = not own or self._config.flag("tie_word_embeddings", default=False)
        return Head(norm, self._table if tied else own[0], cap)

    def _activation(self) -> Gate:
        name = self._config.text(
            self._traits.activation, self._traits.default_activation, allowed=tuple(_GATES)
        )
        return _GATES[name]

    def _cap(self, key: str) -> float | None:
        return self._config.number(key) if self._config.has(key) else None

    def _linear(self, key: str) -> Linear:
        bias = f"{key}.bias"
        return Linear(f"{key}.weight", bias if bias in self._names else None)

    def _norm(self, key: str) -> RmsNorm:
        return RmsNorm(f"{key}.weight", self._epsilon, self._traits.norm_offset)


def _root(names: Collection[str]) -> str:
    """What stands before the keys."""
    for root in _ROOTS:
        if f"{root}embed_tokens.weight" in names:
            return root
    raise WeightError(
        "the weights hold no tensor 'model.embed_tokens.weight'; they are not those of a decoder"
    )
