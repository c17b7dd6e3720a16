"""The CLIP family: a tower of images and a tower of text that end in one space."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

from arrowmind.errors import WeightError
from arrowmind.models.settings import ModelConfig
from arrowmind.models.spec import Attention, FeedForward, Linear, Norm
from arrowmind.models.tower_spec import ImageStem, SenseSpec, TextStem, Tower, TowerBlock

if TYPE_CHECKING:
    from collections.abc import Collection

    from arrowmind.models.spec import Pooling

__all__ = ["FAMILIES", "build"]

FAMILIES = ("clip",)

_TEXT = {
    "hidden_size": 512,
    "intermediate_size": 2048,
    "num_hidden_layers": 12,
    "num_attention_heads": 8,
    "max_position_embeddings": 77,
    "vocab_size": 49408,
}
_VISION = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "image_size": 224,
    "patch_size": 32,
    "num_channels": 3,
}
# What the images of the family's training were brought to.
_MEAN = [0.48145466, 0.4578275, 0.40821073]
_DEVIATION = [0.26862954, 0.26130258, 0.27577711]
_LARGEST_IMAGE = 1024
_ACTIVATIONS = {"quick_gelu": "quick-gelu", "gelu": "gelu"}


def build(config: ModelConfig, names: Collection[str], pooling: Pooling) -> SenseSpec:  # noqa: ARG001  as of others
    """The model that `config` describes, over weights called `names`."""
    if "visual_projection.weight" not in names or "text_projection.weight" not in names:
        raise WeightError(
            "the weights hold no visual_projection.weight and text_projection.weight; they are not those of "
            "a CLIP model with both towers"
        )
    columns = config.integer("projection_dim", 512)
    text = _text(_part(config, "text_config", _TEXT), columns)
    images = _images(_part(config, "vision_config", _VISION), config, columns)
    vocabulary = cast("TextStem", text.stem).vocabulary
    return SenseSpec("clip", columns, vocabulary, text.rows, (text, images))


def _part(config: ModelConfig, key: str, defaults: dict[str, int]) -> ModelConfig:
    """A tower's settings; files hold only those that differ from the defaults of the family."""
    return ModelConfig({**defaults, **config.mapping(key)}, f"{key}.")


def _text(config: ModelConfig, columns: int) -> Tower:
    prefix = "text_model."
    epsilon = config.number("layer_norm_eps", 1e-5)
    return Tower(
        kind="text",
        stem=TextStem(
            f"{prefix}embeddings.token_embedding.weight",
            f"{prefix}embeddings.position_embedding.weight",
            config.integer("vocab_size"),
        ),
        hidden=config.integer("hidden_size"),
        blocks=_blocks(config, prefix, epsilon),
        norm=_norm(f"{prefix}final_layer_norm", epsilon),
        causal=True,
        pooling="last",
        projection=Linear("text_projection.weight"),
        columns=columns,
        rows=config.integer("max_position_embeddings"),
    )


def _images(config: ModelConfig, whole: ModelConfig, columns: int) -> Tower:
    prefix = "vision_model."
    epsilon = config.number("layer_norm_eps", 1e-5)
    size, patch = config.integer("image_size"), config.integer("patch_size")
    if size % patch or size > _LARGEST_IMAGE or config.integer("num_channels") != 3:
        raise WeightError(
            f"config.json: vision_config has images of {size} pixels, patches of {patch} and "
            f"{config.integer('num_channels')} channels; whole patches of 3 channels in images of at most "
            f"{_LARGEST_IMAGE} pixels can be run"
        )
    return Tower(
        kind="image",
        stem=_image_stem(prefix, epsilon, size, patch, _form(whole)),
        hidden=config.integer("hidden_size"),
        blocks=_blocks(config, prefix, epsilon),
        norm=_norm(f"{prefix}post_layernorm", epsilon),
        causal=False,
        pooling="first",
        projection=Linear("visual_projection.weight"),
        columns=columns,
        rows=(size // patch) ** 2 + 1,
    )


def _form(config: ModelConfig) -> ModelConfig:
    """How images are prepared: what a preprocessor's file said, else as the family's training did."""
    own = ModelConfig(config.mapping("arrowmind"), "arrowmind.")
    return ModelConfig(own.mapping("image"), "arrowmind.image.")


def _image_stem(prefix: str, epsilon: float, size: int, patch: int, form: ModelConfig) -> ImageStem:
    key = f"{prefix}embeddings."
    resize, cut = form.integer("resize", size), form.integer("crop", size)
    if cut != size or not size <= resize <= 4 * size:
        raise WeightError(
            f"config.json: arrowmind.image scales to {resize} and cuts {cut} pixels; the model reads {size}"
        )
    return ImageStem(
        patches=Linear(f"{key}patch_embedding.weight"),
        class_row=f"{key}class_embedding",
        position=f"{key}position_embedding.weight",
        norm=_norm(f"{prefix}pre_layrnorm", epsilon),  # spelt so in the files
        size=size,
        patch=patch,
        resize=resize,
        mean=_channels(form, "mean", _MEAN),
        deviation=_channels(form, "std", _DEVIATION),
    )


def _channels(form: ModelConfig, key: str, default: list[float]) -> tuple[float, float, float]:
    values = form.numbers(key) or default
    if len(values) != 3 or (key == "std" and min(values) <= 0):
        raise WeightError(f"config.json: arrowmind.image.{key} is {values!r}; three numbers are needed")
    return values[0], values[1], values[2]


def _blocks(config: ModelConfig, prefix: str, epsilon: float) -> tuple[TowerBlock, ...]:
    hidden, heads = config.integer("hidden_size"), config.integer("num_attention_heads")
    if hidden % heads:
        raise WeightError(f"config.json: hidden_size {hidden} is no multiple of num_attention_heads {heads}")
    act = config.text("hidden_act", "quick_gelu", allowed=tuple(_ACTIVATIONS))
    return tuple(
        _block(f"{prefix}encoder.layers.{index}.", heads, epsilon, _ACTIVATIONS[act])
        for index in range(config.integer("num_hidden_layers"))
    )


def _block(key: str, heads: int, epsilon: float, activation: str) -> TowerBlock:
    attention = f"{key}self_attn."
    return TowerBlock(
        attention=Attention(
            _linear(f"{attention}q_proj"),
            _linear(f"{attention}k_proj"),
            _linear(f"{attention}v_proj"),
            _linear(f"{attention}out_proj"),
            heads,
        ),
        attention_norm=_norm(f"{key}layer_norm1", epsilon),
        feed_forward=FeedForward(
            _linear(f"{key}mlp.fc1"),
            _linear(f"{key}mlp.fc2"),
            cast("Literal['gelu', 'quick-gelu']", activation),
        ),
        feed_forward_norm=_norm(f"{key}layer_norm2", epsilon),
    )


def _linear(key: str) -> Linear:
    return Linear(f"{key}.weight", f"{key}.bias")


def _norm(key: str, epsilon: float) -> Norm:
    return Norm(f"{key}.weight", f"{key}.bias", epsilon)
