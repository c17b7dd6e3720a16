"""Small model folders and a stand-in for the engine."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np
import pytest

from arrowmind.weights import open_weights, write_weights
from arrowmind.weights.configuration import read_configuration
from arrowmind.weights.documents import encode_json
from arrowmind.weights.tensor import float_tensor

if TYPE_CHECKING:
    from pathlib import Path

SEED = 7


@pytest.fixture(scope="session")
def weights() -> dict[str, np.ndarray]:
    print(f"seed {SEED}")
    random = np.random.default_rng(SEED)
    shapes = {
        "embeddings.word_embeddings.weight": (3000, 24),
        "embeddings.position_embeddings.weight": (64, 24),
        "encoder.layer.0.attention.self.query.weight": (24, 24),
        "encoder.layer.0.attention.output.dense.weight": (24, 24),
        "encoder.layer.0.intermediate.dense.weight": (40, 24),
        "encoder.layer.0.output.dense.weight": (24, 40),
        "encoder.layer.0.output.dense.bias": (24,),
    }
    return {name: random.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


@pytest.fixture(scope="session")
def model(weights, tmp_path_factory) -> Path:
    """A model folder of ours, in fp32."""
    folder = tmp_path_factory.mktemp("models") / "original"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "bert", "max_position_embeddings": 64}')
    (folder / "tokenizer.json").write_text("{}")
    (folder / "config.json").write_bytes(encode_json(read_configuration(folder)))
    write_weights(folder / "weights.arrow", (float_tensor(k, v).for_kernels() for k, v in weights.items()))
    return folder


def toy_embedder(folder: Path):
    """Looks up rows by the text's bytes and runs one block: any change of the weights shows."""
    block = "encoder.layer.0.attention"
    names = (
        "embeddings.word_embeddings.weight",
        f"{block}.self.query.weight",
        f"{block}.output.dense.weight",
    )
    with open_weights(folder) as source:
        table, query, out = (source.real_values(name) for name in names)

    def embed(texts: list[str]) -> np.ndarray:
        rows = np.stack(
            [
                table[[zlib.crc32(f"{text}{i}".encode()) % len(table) for i in range(5)]].mean(0)
                for text in texts
            ]
        )
        return (np.maximum(rows @ query.T, 0) @ out.T + rows).astype(np.float32)

    return embed


@pytest.fixture
def embedder():
    return toy_embedder
