"""A language model that is not trained but built: it finds what once followed the last three words.

Two layers of Qwen2's form. Three heads of the first copy the word one, two and three places before into parts
of the stream, by biases of queries and keys that agree at this distance alone. A head of the second looks for
the place where the three words before are the last three now, and copies the word that stands there. Whether
it finds a fact depends on nothing but whether the fact is in its cache, and at distances it can bear: what a
needle test should measure.
"""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from arrowmind.weights import convert_model

if TYPE_CHECKING:
    from pathlib import Path

WIDTH = 20
"""Of the vector of a word, and of each part of the stream: the word, those before, what was found."""
HEADS, HEAD, PARTS = 4, 128, 5
THETA = 1e8
SLOW = 34
"""Pairs of a head from here on turn so slowly that content may stand in them."""
NEAR, MATCH = 260.0, 60.0
"""How much louder the wanted distance is than others; what an equal word adds to a score."""
KEYS, VALUES, FILLERS = 40, 240, 400
UNKNOWN = "<unk>"
CONSONANTS, VOWELS = "bdfgklmnprst", "aeiou"


@dataclasses.dataclass(frozen=True)
class Needle:
    """Three words and the one that follows them."""

    key: tuple[str, str, str]
    value: str


@dataclasses.dataclass(frozen=True)
class Haystack:
    """A text with needles, those of `asked` among them; the others share two words with one of them."""

    text: str
    asked: list[Needle]


def make(folder: Path, seed: int = 0, most: int = 2048) -> Path:
    """A converted model folder that reads `most` tokens."""
    source = folder.with_name(f"{folder.name}-hf")
    source.mkdir(parents=True)
    words = len(vocabulary()) + 1
    config = {
        "model_type": "qwen2",
        "hidden_size": PARTS * WIDTH,
        "intermediate_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": HEADS,
        "num_key_value_heads": HEADS,
        "head_dim": HEAD,
        "vocab_size": words,
        "max_position_embeddings": most,
        "rms_norm_eps": 1e-6,
        "rope_theta": THETA,
        "hidden_act": "silu",
        "tie_word_embeddings": False,
    }
    (source / "config.json").write_text(json.dumps(config))
    save_file(weights(words, seed), source / "model.safetensors")
    tokenizer().save(str(source / "tokenizer.json"))
    convert_model(source, folder)
    return folder


def vocabulary() -> list[str]:
    """Words of four letters or six: keys, values, fillers."""
    syllables = [c + v for c in CONSONANTS for v in VOWELS]
    words = [first + second for first in syllables for second in syllables]
    picked: list[str] = np.random.default_rng(1).permutation(words)[: KEYS + VALUES + FILLERS].tolist()
    return picked


def tokenizer() -> Tokenizer:
    """A token per word."""
    known = {f"\u0120{word}": i for i, word in enumerate(vocabulary())}
    made = Tokenizer(models.WordLevel({**known, UNKNOWN: len(known)}, unk_token=UNKNOWN))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    made.decoder = decoders.ByteLevel()
    return made


def weights(words: int, seed: int) -> dict[str, np.ndarray]:
    """Of the whole model, float32."""
    vectors = np.random.default_rng(seed).standard_normal((words, WIDTH))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    hidden = PARTS * WIDTH
    table, head = np.zeros((words, hidden)), np.zeros((words, hidden))
    table[:, :WIDTH], head[:, -WIDTH:] = vectors, 20 * vectors
    made = {
        "model.embed_tokens.weight": table,
        "lm_head.weight": head,
        "model.norm.weight": np.ones(hidden),
        **_layer(0, _copying()),
        **_layer(1, _matching()),
    }
    return {name: np.ascontiguousarray(value, dtype=np.float32) for name, value in made.items()}


def _layer(number: int, attention: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    hidden = PARTS * WIDTH
    block = {f"self_attn.{name}": value for name, value in attention.items()}
    for name in ("mlp.gate_proj.weight", "mlp.up_proj.weight"):
        block[name] = np.zeros((16, hidden))
    block["mlp.down_proj.weight"] = np.zeros((hidden, 16))
    for name in ("input_layernorm", "post_attention_layernorm"):
        block[f"{name}.weight"] = np.ones(hidden)
    return {f"model.layers.{number}.{name}": value for name, value in block.items()}


def _attention() -> dict[str, np.ndarray]:
    hidden, wide = PARTS * WIDTH, HEADS * HEAD
    made: dict[str, np.ndarray] = {f"{part}_proj.weight": np.zeros((wide, hidden)) for part in "qkv"}
    made |= {f"{part}_proj.bias": np.zeros(wide) for part in "qkv"}
    return made | {"o_proj.weight": np.zeros((hidden, wide))}


def _copying() -> dict[str, np.ndarray]:
    """Head n takes the word n + 1 places before into part n + 1."""
    made, half = _attention(), HEAD // 2
    frequencies = THETA ** (-np.arange(half) / half)
    loud = np.sqrt(PARTS * WIDTH)  # a normed word
    for head in range(3):
        first, distance = head * HEAD, head + 1
        made["k_proj.bias"][first : first + half] = 1.0
        made["q_proj.bias"][first : first + half] = NEAR * np.cos(distance * frequencies)
        made["q_proj.bias"][first + half : first + HEAD] = -NEAR * np.sin(distance * frequencies)
        made["v_proj.weight"][first : first + WIDTH, :WIDTH] = np.eye(WIDTH) / loud
        part = slice(distance * WIDTH, (distance + 1) * WIDTH)
        made["o_proj.weight"][part, first : first + WIDTH] = np.eye(WIDTH)
    return made


def _matching() -> dict[str, np.ndarray]:
    """Head 0 compares the last three words with the three before each place, and takes what stands there."""
    made, half = _attention(), HEAD // 2
    slow = np.concatenate([np.arange(SLOW, half), np.arange(half + SLOW, HEAD)])
    loud = np.sqrt(PARTS * WIDTH / 4)  # the stream holds four words
    strength = np.sqrt(MATCH * np.sqrt(HEAD)) / loud
    for place in range(3):
        rows = slow[place * WIDTH : (place + 1) * WIDTH]
        query, key = np.arange(WIDTH) + place * WIDTH, np.arange(WIDTH) + (place + 1) * WIDTH
        made["q_proj.weight"][rows, query] = strength
        made["k_proj.weight"][rows, key] = strength
    made["v_proj.weight"][:WIDTH, :WIDTH] = np.eye(WIDTH) / loud
    made["o_proj.weight"][-WIDTH:, :WIDTH] = np.eye(WIDTH)
    return made


def haystack(tokens: int, needles: int, distractors: int, seed: int = 0, clear: int = 0) -> Haystack:
    """A text of about `tokens` words with needles at random places, none among the last `clear` words."""
    hidden = hidden_facts(needles, distractors, seed)
    text = filler_words(tokens, [seed, 1])
    rng = np.random.default_rng([seed, 2])
    places = sorted(rng.choice(tokens - clear, len(hidden), replace=False).tolist(), reverse=True)
    for place, which in zip(places, rng.permutation(len(hidden)), strict=True):
        text[place:place] = [*hidden[which].key, hidden[which].value]
    return Haystack(" ".join(text), hidden[:needles])


def hidden_facts(needles: int, distractors: int, seed: int) -> list[Needle]:
    """Facts, and behind them others that share two of three words with one of them each."""
    rng = np.random.default_rng(seed)
    words = vocabulary()
    keys, values = words[:KEYS], words[KEYS : KEYS + VALUES]
    used: set[tuple[str, ...]] = set()
    asked = [_needle(rng, keys, values, used) for _ in range(needles)]
    return asked + [_near(rng, asked[i % needles], keys, values, used) for i in range(distractors)]


def filler_words(count: int, seed: list[int]) -> list[str]:
    """Words between the facts; the n-th most frequent comes up as 1 / n."""
    shares = 1 / np.arange(1, FILLERS + 1)
    fillers = vocabulary()[KEYS + VALUES :]
    picked: list[str] = np.random.default_rng(seed).choice(fillers, count, p=shares / shares.sum()).tolist()
    return picked


def _needle(rng: np.random.Generator, keys: list[str], values: list[str], used: set[Any]) -> Needle:
    while True:
        key = tuple(rng.choice(keys, 3, replace=False).tolist())
        if key not in used:
            used.add(key)
            return Needle(key, str(rng.choice(values)))


def _near(
    rng: np.random.Generator, needle: Needle, keys: list[str], values: list[str], used: set[Any]
) -> Needle:
    """One that shares two of the three words, in their places."""
    while True:
        key = list(needle.key)
        key[int(rng.integers(3))] = str(rng.choice(keys))
        if tuple(key) not in used:
            used.add(tuple(key))
            others = [value for value in values if value != needle.value]
            return Needle((key[0], key[1], key[2]), str(rng.choice(others)))
