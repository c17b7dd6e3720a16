"""Model folders with small decoders, and how far float32 logits may be from float64."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.numpy import save_file
from tests.reference import decoder, tokenizer
from tests.reference.tolerance import UNIT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def write(path: Path, config: Mapping[str, Any], weights: Mapping[str, np.ndarray]) -> Path:
    """A Hugging Face folder of this model, with a small tokenizer of fewer words."""
    path.mkdir()
    (path / "config.json").write_text(json.dumps(config))
    save_file(dict(weights), path / "model.safetensors")
    tokenizer.build().save(str(path / "tokenizer.json"))
    return path


def write_family(path: Path, name: str, seed: int) -> tuple[Path, dict[str, Any], dict[str, np.ndarray]]:
    """A folder of a family, its config.json and its weights."""
    config = decoder.CONFIGS[name]
    weights = decoder.random_weights(config, seed)
    return write(path, config, weights), config, weights


def logits_bound(config: Mapping[str, Any], expected: np.ndarray) -> float:
    """Of the error of a logit.

    A forward is a chain of 8 operators per block and 2 of the head, whose errors add up; each errs by a few
    roundings of the size of its result, because those within a sum of products cancel. What is measured,
    against float64 and against another implementation in float32, stays below a fifth of this bound.
    """
    operators = 8 * config["num_hidden_layers"] + 2
    return operators * 4 * UNIT * float(np.abs(expected).max())
