"""A Hugging Face folder as a source of tensors: safetensors, config.json, tokenizer.json."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind.errors import WeightError
from arrowmind.observe import get_logger
from arrowmind.weights.configuration import read_configuration
from arrowmind.weights.convolutions import as_matrix, matrix_shape
from arrowmind.weights.experts import unstacked
from arrowmind.weights.formats import float_values, number_type
from arrowmind.weights.roles import role_of, storage_order
from arrowmind.weights.shards import Shards
from arrowmind.weights.source import WeightSource
from arrowmind.weights.tensor import Tensor, float_tensor
from arrowmind.weights.tensor_spec import TensorSpec

if TYPE_CHECKING:
    import os

__all__ = ["HuggingFaceModel"]

_log = get_logger("arrowmind.weights")
_TYPES = {"F16": "fp16", "BF16": "bf16"}
_INTEGERS = ("I64", "I32", "U8", "BOOL")  # index buffers such as position_ids, not weights


class HuggingFaceModel(WeightSource):
    """The tensors of a Hugging Face folder, packed when asked for."""

    kind = "huggingface"

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise WeightError(f"{path} is not a folder; give a folder with model.safetensors and config.json")
        self.path = path
        self._shards = Shards(path)
        self._documents = {"model": read_configuration(path), "quantization": {}, "precision": {}}
        names = self._shards.names()
        skipped = [name for name in names if self._shards.dtype(name) in _INTEGERS]
        if skipped:
            _log.info("integer buffers are not weights and are left out", path=str(path), names=skipped)
        kept = sorted(set(names) - set(skipped))
        parts = unstacked((name, matrix_shape(name, self._shards.shape(name))) for name in kept)
        self._parts = {name: parts[name] for name in sorted(parts, key=storage_order)}

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> HuggingFaceModel:
        """Opens the folder at ``path``; reads headers only.

        Raises:
            WeightError: a file is missing, or the model cannot be converted.
            IntegrityError: a file is damaged.
        """
        return cls(Path(path))

    @property
    def documents(self) -> dict[str, dict[str, Any]]:  # noqa: D102
        return self._documents

    @property
    def paths(self) -> list[Path]:
        """The safetensors files."""
        return self._shards.paths

    def names(self) -> list[str]:  # noqa: D102
        return list(self._parts)

    def has(self, name: str) -> bool:  # noqa: D102
        return name in self._parts

    def spec(self, name: str) -> TensorSpec:
        """Types are kept, but vectors of bfloat16 are float32: they are small, and every op reads that."""
        if name not in self._parts:
            raise self.missing(name)
        part = self._parts[name]
        role = role_of(name, part.shape)
        kind = _TYPES.get(self._shards.dtype(part.stored), "fp32")
        if kind == "bf16" and role == "vector":
            kind = "fp32"
        layout = number_type(kind).packed if role == "linear" else "row"
        return TensorSpec(name, kind, part.shape, layout)

    def tensor(self, name: str) -> Tensor:  # noqa: D102
        if name not in self._parts:
            raise self.missing(name)
        part = self._parts[name]
        values = as_matrix(part.stored, self._shards.values(part.stored))
        if part.expert is not None:
            values = values[part.expert, part.rows]
        if values.dtype == np.uint16 and self.spec(name).quant_type == "fp32":
            values = float_values("bf16", values)
        return float_tensor(name, values).for_kernels()

    def close(self) -> None:  # noqa: D102
        self._shards.close()
