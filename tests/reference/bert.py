"""BERT in NumPy float64, sequence by sequence: slow, plain, and independent of the native code."""

from __future__ import annotations

import math

import numpy as np

_erf = np.vectorize(math.erf)


def tiny_weights(seed, *, hidden=48, inner=80, layers=2, vocabulary=61, positions=40):
    """Random weights of a small BERT under Hugging Face's names, float32."""
    rng = np.random.default_rng(seed)
    weights = {}

    def matrix(name, rows, columns, spread=0.3):
        weights[name] = rng.normal(0, spread, (rows, columns)).astype(np.float32)

    def vector(name, size, mean=0.0):
        weights[name] = rng.normal(mean, 0.1, size).astype(np.float32)

    def norm(name):
        vector(f"{name}.weight", hidden, 1.0)
        vector(f"{name}.bias", hidden)

    def linear(name, rows, columns):
        matrix(f"{name}.weight", rows, columns)
        vector(f"{name}.bias", rows)

    matrix("embeddings.word_embeddings.weight", vocabulary, hidden, 1.0)
    matrix("embeddings.position_embeddings.weight", positions, hidden, 0.2)
    matrix("embeddings.token_type_embeddings.weight", 2, hidden, 0.2)
    norm("embeddings.LayerNorm")
    for layer in range(layers):
        key = f"encoder.layer.{layer}."
        for part in ("query", "key", "value"):
            linear(f"{key}attention.self.{part}", hidden, hidden)
        linear(f"{key}attention.output.dense", hidden, hidden)
        norm(f"{key}attention.output.LayerNorm")
        linear(f"{key}intermediate.dense", inner, hidden)
        linear(f"{key}output.dense", hidden, inner)
        norm(f"{key}output.LayerNorm")
    return weights


def config(weights, heads):
    """The config.json that fits `weights`."""
    word = weights["embeddings.word_embeddings.weight"]
    layers = 1 + max(int(name.split(".")[2]) for name in weights if name.startswith("encoder.layer."))
    return {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "hidden_act": "gelu",
        "hidden_size": word.shape[1],
        "intermediate_size": weights["encoder.layer.0.intermediate.dense.weight"].shape[0],
        "layer_norm_eps": 1e-12,
        "max_position_embeddings": weights["embeddings.position_embeddings.weight"].shape[0],
        "num_attention_heads": heads,
        "num_hidden_layers": layers,
        "position_embedding_type": "absolute",
        "type_vocab_size": 2,
        "vocab_size": word.shape[0],
    }


def embed(weights, ids, heads, *, normalise=True, pooling="mean"):
    """The embedding of one sequence of token ids, float64."""
    w = {name: value.astype(np.float64) for name, value in weights.items()}
    x = w["embeddings.word_embeddings.weight"][ids]
    x = (
        x
        + w["embeddings.position_embeddings.weight"][: len(ids)]
        + w["embeddings.token_type_embeddings.weight"][0]
    )
    x = _norm(x, w, "embeddings.LayerNorm")
    for layer in range(config(weights, heads)["num_hidden_layers"]):
        x = _block(x, w, f"encoder.layer.{layer}.", heads)
    pooled = x.mean(axis=0) if pooling == "mean" else x[0]
    return pooled / np.linalg.norm(pooled) if normalise else pooled


def _block(x, w, key, heads):
    attended = _linear(_attention(x, w, f"{key}attention.self.", heads), w, f"{key}attention.output.dense")
    x = _norm(x + attended, w, f"{key}attention.output.LayerNorm")
    inner = _linear(x, w, f"{key}intermediate.dense")
    inner = 0.5 * inner * (1 + _erf(inner / math.sqrt(2)))
    return _norm(x + _linear(inner, w, f"{key}output.dense"), w, f"{key}output.LayerNorm")


def _attention(x, w, key, heads):
    q, k, v = (
        _linear(x, w, key + part).reshape(len(x), heads, -1).swapaxes(0, 1)
        for part in ("query", "key", "value")
    )
    scores = q @ k.swapaxes(1, 2) / math.sqrt(q.shape[-1])
    scores = np.exp(scores - scores.max(-1, keepdims=True))
    scores /= scores.sum(-1, keepdims=True)
    return (scores @ v).swapaxes(0, 1).reshape(len(x), -1)


def _linear(x, w, key):
    return x @ w[f"{key}.weight"].T + w[f"{key}.bias"]


def _norm(x, w, key):
    centred = x - x.mean(-1, keepdims=True)
    return (
        centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-12) * w[f"{key}.weight"]
        + w[f"{key}.bias"]
    )
