"""What every kind of weight file offers, whatever it is stored in."""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from collections import Counter
from typing import TYPE_CHECKING, Any

from arrowmind.errors import WeightError
from arrowmind.observe import no_progress
from arrowmind.weights.roles import input_scale_name, role_of
from arrowmind.weights.schema import fingerprint

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType

    import numpy as np
    import numpy.typing as npt

    from arrowmind._native import ThreadPool, WeightTable
    from arrowmind.observe import Progress
    from arrowmind.weights.tensor import Tensor
    from arrowmind.weights.tensor_spec import TensorSpec

__all__ = ["WeightSource"]


class WeightSource(ABC):
    """Tensors by name. Opening reads headers only; a tensor's bytes are read when it is asked for.

    Attributes:
        path: the file or folder.
        kind: ``native``, ``parquet-v1``, ``parquet-v2``, ``huggingface`` or ``gguf``.
    """

    path: Path
    kind: str

    @abstractmethod
    def names(self) -> list[str]:
        """Names of all tensors, in file order."""

    def has(self, name: str) -> bool:
        """Whether there is a tensor of this name."""
        return name in self.names()

    @abstractmethod
    def spec(self, name: str) -> TensorSpec:
        """Description of one tensor.

        Raises:
            WeightError: there is no tensor of this name.
        """

    @abstractmethod
    def tensor(self, name: str) -> Tensor:
        """One tensor in the layout that kernels read.

        Raises:
            WeightError: there is no tensor of this name, or it cannot be used.
            IntegrityError: it is damaged.
        """

    def native_rows(self, names: Sequence[str]) -> tuple[WeightTable, list[int]] | None:
        """Matrices that come and go, as rows of a table that the native core reads; None: ask for each.

        Args:
            names: of the matrices.

        Raises:
            WeightError: there is no tensor of such a name.
            IntegrityError: a buffer that stays, of one of them, is damaged.
        """
        del names
        return None

    def real_values(self, name: str) -> npt.NDArray[np.float32]:
        """The values a tensor stands for in the model: of a matrix, those that meet unscaled inputs."""
        tensor = self.tensor(name)
        values = tensor.to_float32()
        scale = self.input_scale(name)
        return values if scale is None else values * scale

    def input_scale(self, name: str) -> npt.NDArray[np.float32] | None:
        """What the inputs of a linear layer are multiplied by, float32 [n_in]; None for nothing.

        Args:
            name: of the layer's matrix.

        Raises:
            WeightError: the scale has another shape, or a value that is not positive.
        """
        scale_name = input_scale_name(name)
        if not self.has(scale_name):
            return None
        shape = self.spec(name).shape
        if role_of(name, shape) != "linear":
            return None
        tensor = self.tensor(scale_name)
        if tensor.spec.shape != shape[1:]:
            raise WeightError(
                f"{self.path}: {scale_name} has shape {list(tensor.spec.shape)}, its layer {shape[1]} inputs"
            )
        tensor.verify()
        scale = tensor.to_float32()
        if not (scale > 0).all():
            raise WeightError(f"{self.path}: {scale_name} holds a value that is not positive")
        return scale

    @property
    @abstractmethod
    def documents(self) -> dict[str, dict[str, Any]]:
        """JSON objects that travel with the weights: ``model``, ``quantization``, ``precision``."""

    @abstractmethod
    def close(self) -> None:
        """Lets go of the file. Arrays taken from it stay valid."""

    @property
    def tokenizer(self) -> bytes | None:
        """The tokenizer.json that travels inside the weights; None where it is a file beside them."""
        return None

    @property
    def model(self) -> dict[str, Any]:
        """The model's configuration, as in config.json; empty when the file holds none."""
        return self.documents["model"]

    @property
    def precision(self) -> dict[str, Any]:
        """The report of the precision check; empty when there was none."""
        return self.documents["precision"]

    @property
    def fingerprint(self) -> str:
        """Hex digest over all tensors, the same in every kind of file; reads them all unless it is native."""
        names = self.names()
        specs = (self.tensor(name).spec for name in names)
        return fingerprint(specs, (self.tensor(name).checksums() for name in names))

    def touch(  # noqa: B027  (nothing to do for most kinds)
        self, pool: ThreadPool, progress: Progress = no_progress
    ) -> None:
        """Hashes what a model multiplies by, many tensors at once, where there are hashes to compare with.

        Damage is told by :meth:`Tensor.verify`.

        Args:
            pool: threads to use.
            progress: called with bytes.
        """

    def verify(self) -> None:
        """Reads every byte and compares checksums.

        Raises:
            IntegrityError: naming the first tensor that is damaged.
        """
        for name in self.names():
            self.tensor(name).verify()

    def describe(self) -> dict[str, Any]:
        """Facts for people: kind, tensors, parameters, bytes, types."""
        specs = [self.spec(name) for name in self.names()]
        return {
            "kind": self.kind,
            "path": str(self.path),
            "tensors": len(specs),
            "bytes": sum(spec.codes_bytes for spec in specs),
            "quant_types": dict(Counter(spec.quant_type for spec in specs)),
            "activations": dict(Counter(spec.activation for spec in specs)),
            "quantization": self.documents["quantization"],
        }

    def missing(self, name: str) -> WeightError:
        """The error for a name that is not there, with the nearest that are."""
        near = difflib.get_close_matches(name, self.names(), n=3)
        hint = f"; did you mean {', '.join(near)}?" if near else f"; it has {len(self.names())} tensors"
        return WeightError(f"{self.path}: has no tensor {name!r}{hint}")

    def __enter__(self) -> WeightSource:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
