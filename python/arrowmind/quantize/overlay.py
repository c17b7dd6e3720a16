"""Weights with some tensors in other words: the model as it is while it is being quantised."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from arrowmind.weights import WeightSource
from arrowmind.weights.tensor import float_tensor

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from arrowmind.weights import Tensor
    from arrowmind.weights.tensor_spec import TensorSpec

__all__ = ["HasValues", "Overlay"]


class HasValues(Protocol):
    """Something that stands for a matrix."""

    def values(self) -> npt.NDArray[np.float32]:
        """The matrix, float32 [n, k]."""


class Overlay(WeightSource):
    """A source with some tensors replaced by others of the same shape, in float32.

    Replaced values stand where the tensor's own stood: an input scale of the source still applies.
    """

    def __init__(
        self, base: WeightSource, replaced: Mapping[str, HasValues | npt.NDArray[np.float32]]
    ) -> None:
        """Lays ``replaced``, by name, over ``base``; both are kept, not copied."""
        self._base = base
        self._replaced = replaced
        self.path, self.kind = base.path, base.kind

    def names(self) -> list[str]:
        """Those of the source below."""
        return self._base.names()

    def spec(self, name: str) -> TensorSpec:
        """Of the tensor that stands there now."""
        return self.tensor(name).spec if name in self._replaced else self._base.spec(name)

    def tensor(self, name: str) -> Tensor:
        """The one that stands there now; a replaced one is made anew each time."""
        if name not in self._replaced:
            return self._base.tensor(name)
        value = self._replaced[name]
        values = value if isinstance(value, np.ndarray) else value.values()
        return float_tensor(name, np.ascontiguousarray(values)).for_kernels()

    @property
    def documents(self) -> dict[str, dict[str, Any]]:
        """Those of the source below."""
        return self._base.documents

    def close(self) -> None:
        """Does nothing: the source below belongs to whoever opened it."""
