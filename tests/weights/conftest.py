"""A tiny BERT-shaped model folder, made of seeded random numbers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from safetensors.numpy import save_file

if TYPE_CHECKING:
    from pathlib import Path

SEED = 20261121


def tiny_tensors(seed: int = SEED) -> dict[str, np.ndarray]:
    """Shapes with every awkward edge: n below, at and above a panel, k not a multiple of four."""
    random = np.random.default_rng(seed)

    def normal(*shape: int) -> np.ndarray:
        return random.standard_normal(shape).astype(np.float32)

    layer = "encoder.layer.0"
    return {
        "embeddings.word_embeddings.weight": normal(37, 22),
        "embeddings.position_embeddings.weight": normal(20, 22),
        "embeddings.LayerNorm.weight": normal(22),
        "embeddings.LayerNorm.bias": normal(22),
        f"{layer}.attention.self.value.weight": normal(22, 22),
        f"{layer}.attention.self.key.weight": normal(22, 22),
        f"{layer}.attention.self.query.weight": normal(22, 22),
        f"{layer}.attention.self.query.bias": normal(22),
        f"{layer}.intermediate.dense.weight": normal(48, 22),
        f"{layer}.output.dense.weight": normal(22, 48),
        "pooler.dense.weight": normal(1, 1),
        "logit_scale": normal(),
    }


def write_folder(folder: Path, tensors: dict[str, np.ndarray]) -> Path:
    folder.mkdir(parents=True)
    save_file(tensors, folder / "model.safetensors")
    config = {"model_type": "bert", "hidden_size": 22, "max_position_embeddings": 20, "hidden_act": "gelu"}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text(json.dumps({"version": "1.0"}))
    return folder


@pytest.fixture(scope="session")
def tensors() -> dict[str, np.ndarray]:
    print(f"seed {SEED}")
    return tiny_tensors()


@pytest.fixture
def source(tmp_path: Path, tensors: dict[str, np.ndarray]) -> Path:
    """A Hugging Face folder."""
    return write_folder(tmp_path / "original", tensors)
