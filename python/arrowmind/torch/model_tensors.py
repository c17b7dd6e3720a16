"""Tensors of a model folder without copies, and embeddings as tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from arrowmind.torch.linear import QuantizedLinear
from arrowmind.torch.private import open_private
from arrowmind.weights import WeightFile, open_weights
from arrowmind.weights.formats import number_type
from arrowmind.weights.roles import input_scale_name, join_name, split_name
from arrowmind.weights.tensor import Tensor

if TYPE_CHECKING:
    import mmap
    import os
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from arrowmind.engine import ArrowEngine
    from arrowmind.weights import WeightSource

__all__ = ["ModelTensors", "encode", "tensors"]


class ModelTensors(Mapping[str, torch.Tensor]):
    """Tensors of a model by name, as float32 or float16.

    Of a native file, floats in row-major order (biases, norms, tables) are views of a private mapping, which
    lives as long as any of them. They may be written to: the change is seen by this process alone, in every
    tensor over these bytes, and never reaches the file. Packed matrices of floats are put in order, and codes
    are decoded: new tensors. Of other kinds of files every tensor is new.

    Each tensor is compared with its checksum when it is first asked for.
    """

    def __init__(self, source: WeightSource, mapping: mmap.mmap | None = None) -> None:
        """Use :func:`tensors`.

        Args:
            source: says what is where.
            mapping: of its file; None to copy.
        """
        self._source, self._mapping = source, mapping
        self._base = _address(source)

    def __getitem__(self, name: str) -> Any:
        """One tensor in its shape.

        Raises:
            KeyError: there is none of this name.
            IntegrityError: it is damaged.
        """
        if name not in self:
            raise KeyError(str(self._source.missing(name)))
        tensor = self._source.tensor(name)
        tensor.verify()
        spec = tensor.spec
        if not self.is_view(name):
            values = tensor.values() if spec.quant_type in ("fp32", "fp16") else tensor.to_float32()
            return torch.from_numpy(_writable(values))
        dtype = number_type(spec.quant_type).dtype
        return torch.from_numpy(self._view(tensor.codes).view(dtype).reshape(spec.shape))

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self._source.names()

    def __iter__(self) -> Iterator[str]:
        return iter(self._source.names())

    def __len__(self) -> int:
        return len(self._source.names())

    @property
    def source(self) -> WeightSource:
        """The file below."""
        return self._source

    def is_view(self, name: str) -> bool:
        """Whether a tensor shares the memory of the file's mapping."""
        spec = self._source.spec(name)
        return self._mapping is not None and spec.layout == "row" and spec.quant_type in ("fp32", "fp16")

    def linear(self, name: str) -> QuantizedLinear:
        """The linear layer with the matrix called ``name``, its bias and its input scale.

        Codes, scales and bias of a native file are views of the mapping.

        Args:
            name: of the matrix, for instance ``encoder.layer.0.output.dense.weight``.

        Raises:
            WeightError: there is none, or it is no matrix of a linear layer.
        """
        tensor = self._source.tensor(name)
        tensor.verify()
        buffers: Any = [None if buffer is None else self._view(buffer) for buffer in tensor.buffers()]
        bias, scale = join_name(split_name(name)[0], "bias"), input_scale_name(name)
        packed = Tensor(tensor.spec, *buffers)
        if tensor.spec.layout == "row":
            packed = packed.for_kernels()
        return QuantizedLinear(
            packed,
            self[bias].to(torch.float32) if bias in self else None,
            self[scale].to(torch.float32) if scale in self else None,
        )

    def _view(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The same bytes in the private mapping; a copy where there is none."""
        if self._mapping is None or not array.size:
            return _writable(array)
        offset = _start(array) - self._base
        return np.frombuffer(self._mapping, array.dtype, array.size, offset).reshape(array.shape)


def tensors(path: str | os.PathLike[str]) -> ModelTensors:
    """The tensors of a model folder or weight file.

    Args:
        path: as for :func:`arrowmind.weights.open_weights`.

    Raises:
        WeightError: there are no weights, or they are replaced again and again while they are opened.
        IntegrityError: they are damaged.
    """
    source = open_weights(path)
    if not isinstance(source, WeightFile):
        return ModelTensors(source)
    source.close()
    return ModelTensors(*open_private(source.path))


def encode(engine: ArrowEngine, texts: str | Sequence[str], *, normalize: bool = True) -> Any:
    """Embeddings of texts as a float32 tensor [n, dimension] over the memory that the engine wrote."""
    return torch.from_dlpack(engine.encode(texts, normalize))


def _address(source: WeightSource) -> int:
    """Where the first byte of a native file lies in the mapping of its reader."""
    if not isinstance(source, WeightFile) or not source.names():
        return 0
    name = source.names()[0]
    return _start(source.tensor(name).codes) - source.offset(name)


def _start(array: npt.NDArray[Any]) -> int:
    start: int = array.__array_interface__["data"][0]
    return start


def _writable(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return array if array.flags.writeable else array.copy()
