"""The Whisper family: an encoder of sound, and a decoder that writes what was said."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arrowmind.errors import WeightError
from arrowmind.models.spec import Attention, FeedForward, Linear, Norm
from arrowmind.models.tower_spec import SenseSpec, SoundStem, TextStem, Tower, TowerBlock

if TYPE_CHECKING:
    from collections.abc import Collection

    from arrowmind.models.settings import ModelConfig
    from arrowmind.models.spec import Pooling

__all__ = ["FAMILIES", "build"]

FAMILIES = ("whisper",)

_EPSILON = 1e-5
_CONVOLUTION = "encoder.conv1.weight"


def build(config: ModelConfig, names: Collection[str], pooling: Pooling) -> SenseSpec:  # noqa: ARG001  as of others
    """The model that `config` describes, over weights called `names`."""
    config.text("activation_function", "gelu", allowed=("gelu",))
    if config.flag("scale_embedding", default=False):
        raise WeightError("config.json: scale_embedding is true; only false can be run")
    prefix = next((one for one in ("model.", "") if one + _CONVOLUTION in names), None)
    if prefix is None:
        raise WeightError(f"the weights hold no tensor {_CONVOLUTION!r}; they are not those of a Whisper")
    hidden, vocabulary = config.integer("d_model", 384), config.integer("vocab_size", 51865)
    tokens = config.integer("max_target_positions", 448)
    sound = _sound(config, f"{prefix}encoder.", hidden)
    writer = _writer(config, f"{prefix}decoder.", hidden, vocabulary, tokens)
    head = "proj_out.weight" if "proj_out.weight" in names else f"{prefix}decoder.embed_tokens.weight"
    return SenseSpec("whisper", hidden, vocabulary, tokens, (sound, writer), head)


def _sound(config: ModelConfig, prefix: str, hidden: int) -> Tower:
    heads = _heads(config, "encoder_attention_heads", hidden)
    return Tower(
        kind="sound",
        stem=SoundStem(
            first=_linear(f"{prefix}conv1"),
            second=_linear(f"{prefix}conv2"),
            position=f"{prefix}embed_positions.weight",
            mels=config.integer("num_mel_bins", 80),
        ),
        hidden=hidden,
        blocks=tuple(
            _block(f"{prefix}layers.{index}.", heads, crosses=False)
            for index in range(config.integer("encoder_layers", 4))
        ),
        norm=_norm(f"{prefix}layer_norm"),
        causal=False,
        pooling="rows",
        projection=None,
        columns=hidden,
        rows=config.integer("max_source_positions", 1500),
    )


def _writer(config: ModelConfig, prefix: str, hidden: int, vocabulary: int, tokens: int) -> Tower:
    heads = _heads(config, "decoder_attention_heads", hidden)
    return Tower(
        kind="transcript",
        stem=TextStem(f"{prefix}embed_tokens.weight", f"{prefix}embed_positions.weight", vocabulary),
        hidden=hidden,
        blocks=tuple(
            _block(f"{prefix}layers.{index}.", heads, crosses=True)
            for index in range(config.integer("decoder_layers", 4))
        ),
        norm=_norm(f"{prefix}layer_norm"),
        causal=True,
        pooling="rows",
        projection=None,
        columns=hidden,
        rows=tokens,
    )


def _heads(config: ModelConfig, key: str, hidden: int) -> int:
    heads = config.integer(key, 6)
    if hidden % heads:
        raise WeightError(f"config.json: d_model {hidden} is not a multiple of {key} {heads}")
    return heads


def _block(key: str, heads: int, *, crosses: bool) -> TowerBlock:
    return TowerBlock(
        attention=_attention(f"{key}self_attn.", heads),
        attention_norm=_norm(f"{key}self_attn_layer_norm"),
        feed_forward=FeedForward(_linear(f"{key}fc1"), _linear(f"{key}fc2"), "gelu"),
        feed_forward_norm=_norm(f"{key}final_layer_norm"),
        cross=_attention(f"{key}encoder_attn.", heads) if crosses else None,
        cross_norm=_norm(f"{key}encoder_attn_layer_norm") if crosses else None,
    )


def _attention(key: str, heads: int) -> Attention:
    return Attention(
        _linear(f"{key}q_proj"),
        Linear(f"{key}k_proj.weight"),  # keys have no bias in this family
        _linear(f"{key}v_proj"),
        _linear(f"{key}out_proj"),
        heads,
    )


def _linear(key: str) -> Linear:
    return Linear(f"{key}.weight", f"{key}.bias")


def _norm(key: str) -> Norm:
    return Norm(f"{key}.weight", f"{key}.bias", _EPSILON)
