"""CLIP and Whisper by their formulas in float64, with small random weights in the layout of Hugging Face."""

from __future__ import annotations

import json
import math
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

CLIP = {
    "model_type": "clip",
    "projection_dim": 48,
    "text_config": {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "vocab_size": 300,
        "max_position_embeddings": 20,
        "hidden_act": "quick_gelu",
    },
    "vision_config": {
        "hidden_size": 96,
        "intermediate_size": 192,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "image_size": 64,
        "patch_size": 16,
        "hidden_act": "quick_gelu",
    },
}
WHISPER = {
    "model_type": "whisper",
    "d_model": 64,
    "encoder_layers": 2,
    "encoder_attention_heads": 4,
    "encoder_ffn_dim": 128,
    "decoder_layers": 2,
    "decoder_attention_heads": 4,
    "decoder_ffn_dim": 128,
    "num_mel_bins": 80,
    "max_source_positions": 150,
    "max_target_positions": 40,
    "vocab_size": 300,
    "activation_function": "gelu",
}
_erf = np.vectorize(math.erf)


def byte_tokens(specials: list[str], *, before: list[str], after: list[str]) -> Tokenizer:
    """Bytes as tokens, special tokens behind them, some of which stand around every text."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    ids = {token: index for index, token in enumerate([*alphabet, *specials])}
    tokenizer = Tokenizer(models.BPE(ids, []))
    tokenizer.add_special_tokens(specials)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    around = [(one, ids[one]) for one in (*before, *after)]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=[*before, "$A", *after], pair=None, special_tokens=around
    )
    return tokenizer


def clip_tokens() -> Tokenizer:
    names = ["<|startoftext|>", "<|endoftext|>"]
    return byte_tokens(names, before=names[:1], after=names[1:])


def whisper_tokens() -> Tokenizer:
    names = ["<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|de|>", "<|translate|>", "<|transcribe|>"]
    names += ["<|notimestamps|>"]
    return byte_tokens(names, before=["<|startoftranscript|>", "<|notimestamps|>"], after=["<|endoftext|>"])


def write(
    path: Path, config: Mapping[str, Any], weights: Mapping[str, np.ndarray], tokens: Tokenizer
) -> Path:
    """A Hugging Face folder."""
    path.mkdir(parents=True)
    (path / "config.json").write_text(json.dumps(config))
    save_file(
        {name: np.ascontiguousarray(value) for name, value in weights.items()}, path / "model.safetensors"
    )
    tokens.save(str(path / "tokenizer.json"))
    return path


def write_wave(path: Path, samples: bytes, rate: int = 16000) -> None:
    """A WAV file of one channel of 16 bits."""
    head = struct.pack(
        "<4sI4s4sIHHIIHH", b"RIFF", 36 + len(samples), b"WAVE", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16
    )
    path.write_bytes(head + struct.pack("<4sI", b"data", len(samples)) + samples)


class _Draw:
    """Random weights of a size that keeps activations near one."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.weights: dict[str, np.ndarray] = {}

    def matrix(self, name: str, *shape: int) -> None:
        deviation = 1 / math.sqrt(math.prod(shape[1:]))
        self.weights[name] = self.rng.normal(0, deviation, shape).astype(np.float32)

    def vector(self, name: str, size: int, middle: float = 0.0) -> None:
        self.weights[name] = self.rng.normal(middle, 0.1, size).astype(np.float32)

    def linear(self, key: str, n_out: int, n_in: int, *, bias: bool = True) -> None:
        self.matrix(f"{key}.weight", n_out, n_in)
        if bias:
            self.vector(f"{key}.bias", n_out)

    def norm(self, key: str, size: int) -> None:
        self.vector(f"{key}.weight", size, 1.0)
        self.vector(f"{key}.bias", size)

    def attention(self, key: str, size: int, *, key_bias: bool = True) -> None:
        for name in ("q_proj", "v_proj", "out_proj"):
            self.linear(f"{key}{name}", size, size)
        self.linear(f"{key}k_proj", size, size, bias=key_bias)


def clip_weights(config: Mapping[str, Any], seed: int) -> dict[str, np.ndarray]:
    draw = _Draw(seed)
    for prefix, part in (("text_model.", config["text_config"]), ("vision_model.", config["vision_config"])):
        size, inner = part["hidden_size"], part["intermediate_size"]
        for layer in range(part["num_hidden_layers"]):
            key = f"{prefix}encoder.layers.{layer}."
            draw.attention(f"{key}self_attn.", size)
            draw.norm(f"{key}layer_norm1", size)
            draw.norm(f"{key}layer_norm2", size)
            draw.linear(f"{key}mlp.fc1", inner, size)
            draw.linear(f"{key}mlp.fc2", size, inner)
    text, vision, columns = config["text_config"], config["vision_config"], config["projection_dim"]
    draw.matrix("text_model.embeddings.token_embedding.weight", text["vocab_size"], text["hidden_size"])
    draw.matrix(
        "text_model.embeddings.position_embedding.weight",
        text["max_position_embeddings"],
        text["hidden_size"],
    )
    draw.norm("text_model.final_layer_norm", text["hidden_size"])
    size, patch = vision["hidden_size"], vision["patch_size"]
    draw.vector("vision_model.embeddings.class_embedding", size)
    draw.matrix("vision_model.embeddings.patch_embedding.weight", size, 3, patch, patch)
    rows = (vision["image_size"] // patch) ** 2 + 1
    draw.matrix("vision_model.embeddings.position_embedding.weight", rows, size)
    draw.norm("vision_model.pre_layrnorm", size)
    draw.norm("vision_model.post_layernorm", size)
    draw.linear("text_projection", columns, text["hidden_size"], bias=False)
    draw.linear("visual_projection", columns, size, bias=False)
    draw.weights["logit_scale"] = np.full(1, 2.6, dtype=np.float32)
    return draw.weights


def whisper_weights(config: Mapping[str, Any], seed: int) -> dict[str, np.ndarray]:
    draw, size = _Draw(seed), config["d_model"]
    for side in ("encoder", "decoder"):
        for layer in range(config[f"{side}_layers"]):
            key = f"model.{side}.layers.{layer}."
            attentions = ["self_attn"] if side == "encoder" else ["self_attn", "encoder_attn"]
            for name in attentions:
                draw.attention(f"{key}{name}.", size, key_bias=False)
                draw.norm(f"{key}{name}_layer_norm", size)
            draw.linear(f"{key}fc1", config[f"{side}_ffn_dim"], size)
            draw.linear(f"{key}fc2", size, config[f"{side}_ffn_dim"])
            draw.norm(f"{key}final_layer_norm", size)
        draw.norm(f"model.{side}.layer_norm", size)
    draw.matrix("model.encoder.conv1.weight", size, config["num_mel_bins"], 3)
    draw.vector("model.encoder.conv1.bias", size)
    draw.matrix("model.encoder.conv2.weight", size, size, 3)
    draw.vector("model.encoder.conv2.bias", size)
    draw.matrix("model.encoder.embed_positions.weight", config["max_source_positions"], size)
    draw.matrix("model.decoder.embed_positions.weight", config["max_target_positions"], size)
    draw.matrix("model.decoder.embed_tokens.weight", config["vocab_size"], size)
    return draw.weights


class Model:
    """Forwards in float64."""

    def __init__(self, config: Mapping[str, Any], weights: Mapping[str, np.ndarray]) -> None:
        self.config = config
        self.weights = {name: value.astype(np.float64) for name, value in weights.items()}

    def linear(self, key: str, x: np.ndarray) -> np.ndarray:
        y = x @ self.weights[f"{key}.weight"].T
        bias = self.weights.get(f"{key}.bias")
        return y if bias is None else y + bias

    def norm(self, key: str, x: np.ndarray) -> np.ndarray:
        centred = x - x.mean(axis=-1, keepdims=True)
        unit = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-5)
        return unit * self.weights[f"{key}.weight"] + self.weights[f"{key}.bias"]

    def attention(
        self, key: str, x: np.ndarray, seen: np.ndarray, heads: int, *, causal: bool = False
    ) -> np.ndarray:
        def split(name: str, rows: np.ndarray) -> np.ndarray:
            return self.linear(f"{key}{name}", rows).reshape(len(rows), heads, -1).transpose(1, 0, 2)

        q, k, v = split("q_proj", x), split("k_proj", seen), split("v_proj", seen)
        scores = q @ k.transpose(0, 2, 1) / math.sqrt(q.shape[-1])
        if causal:
            scores += np.triu(np.full(scores.shape[1:], -np.inf), 1)
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        weights /= weights.sum(axis=-1, keepdims=True)
        return self.linear(f"{key}out_proj", (weights @ v).transpose(1, 0, 2).reshape(len(x), -1))


def quick_gelu(x: np.ndarray) -> np.ndarray:
    return x / (1 + np.exp(-1.702 * x))


def gelu(x: np.ndarray) -> np.ndarray:
    return x * 0.5 * (1 + _erf(x / math.sqrt(2)))


class Clip(Model):
    def blocks(self, prefix: str, part: Mapping[str, Any], x: np.ndarray, *, causal: bool) -> np.ndarray:
        for layer in range(part["num_hidden_layers"]):
            key = f"{prefix}encoder.layers.{layer}."
            normed = self.norm(f"{key}layer_norm1", x)
            x = x + self.attention(
                f"{key}self_attn.", normed, normed, part["num_attention_heads"], causal=causal
            )
            inner = quick_gelu(self.linear(f"{key}mlp.fc1", self.norm(f"{key}layer_norm2", x)))
            x = x + self.linear(f"{key}mlp.fc2", inner)
        return x

    def text(self, ids: list[int]) -> np.ndarray:
        x = self.weights["text_model.embeddings.token_embedding.weight"][ids]
        x = x + self.weights["text_model.embeddings.position_embedding.weight"][: len(ids)]
        x = self.blocks("text_model.", self.config["text_config"], x, causal=True)
        return self.linear("text_projection", self.norm("text_model.final_layer_norm", x)[-1])

    def image(self, pixels: np.ndarray) -> np.ndarray:
        """Of float [3, n, n]."""
        part = self.config["vision_config"]
        patch, edge = part["patch_size"], part["image_size"] // part["patch_size"]
        kernel = self.weights["vision_model.embeddings.patch_embedding.weight"]
        rows = [self.weights["vision_model.embeddings.class_embedding"]]
        for line in range(edge):
            for column in range(edge):
                cut = pixels[:, line * patch : (line + 1) * patch, column * patch : (column + 1) * patch]
                rows.append((kernel * cut).sum(axis=(1, 2, 3)))
        x = np.array(rows) + self.weights["vision_model.embeddings.position_embedding.weight"]
        x = self.norm("vision_model.pre_layrnorm", x)
        x = self.blocks("vision_model.", part, x, causal=False)
        return self.linear("visual_projection", self.norm("vision_model.post_layernorm", x[0]))


class Whisper(Model):
    def convolution(self, key: str, x: np.ndarray, stride: int) -> np.ndarray:
        """Of [frames, n_in], padded with a frame of zeros on each side."""
        kernel, bias = self.weights[f"{key}.weight"], self.weights[f"{key}.bias"]
        padded = np.pad(x, ((1, 1), (0, 0)))
        return np.array(
            [
                np.einsum("oik,ki->o", kernel, padded[begin : begin + 3]) + bias
                for begin in range(0, len(x), stride)
            ]
        )

    def sound(self, frames: np.ndarray) -> np.ndarray:
        """Of a spectrogram [frames, bands]."""
        x = gelu(self.convolution("model.encoder.conv1", frames, 1))
        x = gelu(self.convolution("model.encoder.conv2", x, 2))
        x = x + self.weights["model.encoder.embed_positions.weight"][: len(x)]
        for layer in range(self.config["encoder_layers"]):
            key = f"model.encoder.layers.{layer}."
            normed = self.norm(f"{key}self_attn_layer_norm", x)
            x = x + self.attention(f"{key}self_attn.", normed, normed, self.config["encoder_attention_heads"])
            x = self.feed_forward(key, x)
        return self.norm("model.encoder.layer_norm", x)

    def feed_forward(self, key: str, x: np.ndarray) -> np.ndarray:
        inner = gelu(self.linear(f"{key}fc1", self.norm(f"{key}final_layer_norm", x)))
        return x + self.linear(f"{key}fc2", inner)

    def logits(self, ids: list[int], states: np.ndarray) -> np.ndarray:
        heads = self.config["decoder_attention_heads"]
        table = self.weights["model.decoder.embed_tokens.weight"]
        x = table[ids] + self.weights["model.decoder.embed_positions.weight"][: len(ids)]
        for layer in range(self.config["decoder_layers"]):
            key = f"model.decoder.layers.{layer}."
            normed = self.norm(f"{key}self_attn_layer_norm", x)
            x = x + self.attention(f"{key}self_attn.", normed, normed, heads, causal=True)
            normed = self.norm(f"{key}encoder_attn_layer_norm", x)
            x = x + self.attention(f"{key}encoder_attn.", normed, states, heads)
            x = self.feed_forward(key, x)
        return self.norm("model.decoder.layer_norm", x) @ table.T


def cosines(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Of rows with each other."""
    norms = np.linalg.norm(found, axis=-1) * np.linalg.norm(expected, axis=-1)
    return (found.astype(np.float64) * expected).sum(axis=-1) / norms
