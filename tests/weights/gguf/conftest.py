"""GGUF files of every architecture, made of seeded random numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests.interchange.forge import write_gguf

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HIDDEN, HEADS, KEYS, FEED, VOCABULARY = 32, 4, 2, 64, 24
DECODER = {
    "block_count": 2,
    "context_length": 128,
    "embedding_length": HIDDEN,
    "feed_forward_length": FEED,
    "attention.head_count": HEADS,
    "attention.head_count_kv": KEYS,
    "attention.layer_norm_rms_epsilon": 1e-5,
    "rope.freq_base": 500000.0,
}
ENCODER = {
    "block_count": 2,
    "context_length": 20,
    "embedding_length": HIDDEN,
    "feed_forward_length": FEED,
    "attention.head_count": HEADS,
    "attention.layer_norm_epsilon": 1e-12,
    "pooling_type": 2,
}
PIECES = ["<unk>", "<s>", "</s>", "<0x41>", "\u2581", "a", "b", "ab", "\u2581a", "\u2581ab"]
TOKENIZER: dict[str, Any] = {
    "tokenizer.ggml.model": "llama",
    "tokenizer.ggml.tokens": PIECES + [f"x{i}" for i in range(VOCABULARY - len(PIECES))],
    "tokenizer.ggml.scores": [0.0] * 4 + [-float(i) for i in range(VOCABULARY - 4)],
    "tokenizer.ggml.token_type": [2, 3, 3, 6] + [1] * (VOCABULARY - 4),
    "tokenizer.ggml.bos_token_id": 1,
    "tokenizer.ggml.eos_token_id": 2,
    "tokenizer.ggml.unknown_token_id": 0,
}


def shapes(architecture: str) -> dict[str, tuple[int, ...]]:
    """Shapes by GGUF name, rows first."""
    size = HIDDEN // HEADS
    found: dict[str, tuple[int, ...]] = {"token_embd.weight": (VOCABULARY, HIDDEN)}
    for block in (f"blk.{i}." for i in range(2)):
        found |= {
            f"{block}attn_q.weight": (HIDDEN, HIDDEN),
            f"{block}attn_k.weight": (KEYS * size, HIDDEN),
            f"{block}attn_v.weight": (KEYS * size, HIDDEN),
            f"{block}attn_output.weight": (HIDDEN, HIDDEN),
            f"{block}ffn_up.weight": (FEED, HIDDEN),
            f"{block}ffn_down.weight": (HIDDEN, FEED),
        }
        if architecture == "bert":
            for key in (f"{block}attn_k", f"{block}attn_v"):
                found[f"{key}.weight"] = (HIDDEN, HIDDEN)
            for norm in ("attn_output_norm", "layer_output_norm"):
                found |= {f"{block}{norm}.weight": (HIDDEN,), f"{block}{norm}.bias": (HIDDEN,)}
            linear = [name for name in found if name.startswith(block) and len(found[name]) == 2]
            found |= {name.replace("weight", "bias"): found[name][:1] for name in linear}
            continue
        found[f"{block}ffn_gate.weight"] = (FEED, HIDDEN)
        found |= {f"{block}attn_norm.weight": (HIDDEN,), f"{block}ffn_norm.weight": (HIDDEN,)}
        if architecture == "qwen2":
            found |= {f"{block}attn_{part}.bias": found[f"{block}attn_{part}.weight"][:1] for part in "qkv"}
        if architecture == "qwen3":
            found |= {f"{block}attn_{part}_norm.weight": (size,) for part in "qk"}
    if architecture == "bert":
        tables = {"position_embd.weight": (20, HIDDEN), "token_types.weight": (2, HIDDEN)}
        return found | tables | {"token_embd_norm.weight": (HIDDEN,), "token_embd_norm.bias": (HIDDEN,)}
    return found | {"output_norm.weight": (HIDDEN,)}


def blocks(kind: str, shape: tuple[int, ...], rng: np.random.Generator) -> bytes:
    """Normal numbers as blocks; of types that are not encoded, random codes with sound scales."""
    from arrowmind import _native

    _, elements, size = _native.gguf_type(kind)
    count = int(np.prod(shape))
    if kind in ("F32", "F16", "BF16", "Q8_0", "Q4_0"):
        return _native.gguf_encode(kind, rng.normal(size=count).astype(np.float32)).tobytes()
    raw = rng.integers(0, 256, (count // elements, size), dtype=np.uint8)
    halves = {"Q4_1": (0, 2), "Q5_0": (0,), "Q5_1": (0, 2), "Q2_K": (80, 82), "Q3_K": (108,), "Q6_K": (208,)}
    for at in halves.get(kind, (0, 2) if kind != "MXFP4" else ()):
        raw[:, at : at + 2] = np.array([0.01], np.float16).view(np.uint8)
    if kind == "MXFP4":
        raw[:, 0] = rng.integers(120, 130, len(raw))
    return raw.tobytes()


@pytest.fixture
def make_gguf(tmp_path: Path, rng: np.random.Generator) -> Callable[..., Path]:
    """Writes a model of an architecture; ``kind`` is the type of its matrices."""

    def make(
        architecture: str = "llama",
        kind: str = "F32",
        *,
        metadata: dict[str, Any] | None = None,
        tensors: dict[str, tuple[int, ...]] | None = None,
        tokenizer: dict[str, Any] | None = None,
    ) -> Path:
        settings = ENCODER if architecture == "bert" else DECODER
        known = {"general.architecture": architecture} | (TOKENIZER if tokenizer is None else tokenizer)
        known |= {f"{architecture}.{key}": value for key, value in settings.items()} | (metadata or {})
        content = {}
        for name, shape in (shapes(architecture) | (tensors or {})).items():
            chosen = kind if len(shape) == 2 else "F32"
            content[name] = (chosen, shape, blocks(chosen, shape, rng))
        path = tmp_path / f"{architecture}-{kind}.gguf"
        path.write_bytes(
            write_gguf({key: value for key, value in known.items() if value is not None}, content)
        )
        return path

    return make
