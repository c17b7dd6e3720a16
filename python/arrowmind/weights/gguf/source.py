"""A GGUF file as a source of tensors under Hugging Face names, with config.json and tokenizer.json."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind import _native
from arrowmind.errors import WeightError
from arrowmind.observe import get_logger
from arrowmind.weights.experts import Part, unstacked
from arrowmind.weights.formats import number_type
from arrowmind.weights.gguf.architectures import architecture
from arrowmind.weights.gguf.deepseek import join_halves, joined_shape, take_halves
from arrowmind.weights.gguf.grids import from_blocks, grid_of_blocks, reordered
from arrowmind.weights.gguf.metadata import GgufMetadata
from arrowmind.weights.gguf.settings import head_counts, read_settings
from arrowmind.weights.gguf.tensor_names import IGNORED, head_rows, model_names
from arrowmind.weights.gguf.tokenizer import read_tokenizer
from arrowmind.weights.roles import role_of, storage_order
from arrowmind.weights.source import WeightSource
from arrowmind.weights.tensor import Tensor, float_tensor, grid_tensor
from arrowmind.weights.tensor_spec import TensorSpec

if TYPE_CHECKING:
    import numpy.typing as npt

    from arrowmind.weights.formats import Grid

__all__ = ["GgufModel"]

_log = get_logger("arrowmind.weights")


class GgufModel(WeightSource):
    """The tensors of a GGUF file under their Hugging Face names, packed when asked for.

    Matrices of Q8_0, Q4_0 and MXFP4 keep their codes and scales; F32 and F16 stay what they are; everything
    else becomes fp32.
    """

    kind = "gguf"

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = _native.GgufFile.open(os.fsencode(path))
        self._metadata = GgufMetadata(self._file.metadata(), path)
        self._refuse_parts()
        name = self._metadata.get("general.architecture")
        experts = bool(self._metadata.get(f"{name}.expert_count"))
        self._architecture = architecture(name, path, experts=experts)
        self._heads = head_counts(self._architecture, self._metadata)
        self._stored = model_names(self._architecture, self._file.names(), path)
        self._halves = take_halves(self._stored, path)
        self._grids: dict[str, Grid | None] = {}
        parts = unstacked((ours, self._shape(theirs)) for ours, theirs in self._stored.items())
        for ours, (keys, values) in self._halves.items():
            shape = joined_shape(self._file.shape(keys), self._file.shape(values), path)
            parts[ours] = Part(ours, None, slice(None), shape)
        self._parts = {ours: parts[ours] for ours in sorted(parts, key=storage_order)}
        self._documents = {"model": self._settings(), "quantization": {}, "precision": {}}
        kinds = sorted({self._file.dtype(name) for name in self._file.names()})
        _log.info("GGUF file opened", path=str(path), architecture=self._architecture.name, types=kinds)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> GgufModel:
        """Opens the file at ``path``; reads its head only.

        Raises:
            WeightError: the file is missing, or its model cannot be converted.
            IntegrityError: it is damaged.
        """
        return cls(Path(path))

    @property
    def documents(self) -> dict[str, dict[str, Any]]:  # noqa: D102
        return self._documents

    @property
    def tokenizer(self) -> bytes | None:
        """tokenizer.json made from the metadata; None when they hold none."""
        if "tokenizer.ggml.model" not in self._metadata:
            return None
        return read_tokenizer(self._metadata)

    def names(self) -> list[str]:  # noqa: D102
        return list(self._parts)

    def has(self, name: str) -> bool:  # noqa: D102
        return name in self._parts

    def spec(self, name: str) -> TensorSpec:  # noqa: D102
        if name in self._halves and name in self._parts:
            return TensorSpec(name, "fp32", self._parts[name].shape, number_type("fp32").packed)
        theirs, shape = self._theirs(name), self._parts[name].shape
        grid = self._grid(theirs)
        if grid is not None:
            return _grid_spec(name, grid, shape)
        kind = "fp16" if self._file.dtype(theirs) == "F16" else "fp32"
        layout = number_type(kind).packed if role_of(name, shape) == "linear" else "row"
        return TensorSpec(name, kind, shape, layout)

    def tensor(self, name: str) -> Tensor:  # noqa: D102
        if name in self._halves and name in self._parts:
            keys, values = (self._whole(theirs) for theirs in self._halves[name])
            return float_tensor(name, join_halves(keys, values)).for_kernels()
        theirs = self._theirs(name)
        expert = self._parts[name].expert
        parts = self._file.grid(theirs, expert) if self._grid(theirs) is not None else None
        matrix = None if parts is None else from_blocks(self._file.dtype(theirs), *parts)
        if matrix is None:
            return float_tensor(name, self._values(name)).for_kernels()
        return grid_tensor(name, reordered(matrix, self._rows(theirs)))

    def close(self) -> None:  # noqa: D102
        self._parts.clear()

    def _values(self, name: str) -> npt.NDArray[Any]:
        theirs, part = self._theirs(name), self._parts[name]
        if self._file.dtype(theirs) == "F16":
            stored: npt.NDArray[Any] = self._file.tensor(theirs).view("<f2").reshape(self._shape(theirs))
            values = stored if part.expert is None else stored[part.expert]
        else:
            values = self._file.decode(theirs, part.expert).reshape(part.shape)
        rows = self._rows(theirs)
        if rows.size:
            values = values[rows]
        if self._architecture.norm_offset and theirs.endswith("norm.weight"):
            values = values - values.dtype.type(self._architecture.norm_offset)
        return values

    def _whole(self, theirs: str) -> npt.NDArray[np.float32]:
        values: npt.NDArray[np.float32] = self._file.decode(theirs).reshape(self._file.shape(theirs))
        return values

    def _rows(self, theirs: str) -> npt.NDArray[np.intp]:
        shape = self._file.shape(theirs)
        return head_rows(self._architecture, theirs, self._heads, shape[0] if shape else 1)

    def _grid(self, theirs: str) -> Grid | None:
        """The grid of a matrix, None for floats; found by reading its scales once."""
        if theirs not in self._grids:
            shape = self._file.shape(theirs)
            stack = self._file.tensor(theirs).reshape(shape[0] if len(shape) == 3 else 1, -1)
            # One by one: looking at codes takes memory.
            grids = {grid_of_blocks(self._file.dtype(theirs), one) for one in stack}
            self._grids[theirs] = grids.pop() if len(grids) == 1 and len(shape) > 1 else None
        return self._grids[theirs]

    def _shape(self, theirs: str) -> tuple[int, ...]:
        """Of a tensor in the file; what makes one number is a matrix of one row."""
        shape = self._file.shape(theirs)
        return (1, *shape) if len(shape) == 1 and theirs.endswith("ffn_gate_inp_shexp.weight") else shape

    def _theirs(self, name: str) -> str:
        if name not in self._parts:
            raise self.missing(name)
        return self._stored[self._parts[name].stored]

    def _settings(self) -> dict[str, Any]:
        names = self._file.names()
        shapes = {name: self._file.shape(name) for name in names}
        factors = None
        for name in set(IGNORED) & set(names):
            factors = self._file.decode(name).reshape(-1)
            if not np.isfinite(factors).all():
                raise WeightError(f"{self.path}: tensor {name!r} holds NaN or infinity; download it again")
        return read_settings(self._architecture, self._metadata, shapes, factors)

    def _refuse_parts(self) -> None:
        parts = self._metadata.get("split.count")
        if isinstance(parts, int) and parts > 1:
            raise WeightError(f"{self.path}: is one of {parts} parts; merge them into one GGUF file first")


def _grid_spec(name: str, grid: Grid, shape: tuple[int, ...]) -> TensorSpec:
    """The description that `grid_tensor` gives its tensor."""
    is_linear = role_of(name, shape) == "linear"
    return TensorSpec(
        name,
        grid.quant_type,
        shape,
        grid.code_type.layout if is_linear else "row",
        quant_axis=0,
        activation="int8" if is_linear else "fp32",
        group_size=grid.group_size,
        scale_type=grid.scale_type,
        zero_type="u8" if grid.zero_points else "",
    )
