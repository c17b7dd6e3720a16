"""An engine that follows a channel: what a trainer publishes takes the place of the folder's weights."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from arrowmind.engine.compiler import compile_plan
from arrowmind.engine.engine import ArrowEngine
from arrowmind.errors import WeightError
from arrowmind.observe import get_logger
from arrowmind.torch.channel import Channel
from arrowmind.weights import WeightSource

if TYPE_CHECKING:
    import os

    import numpy as np
    import numpy.typing as npt

    from arrowmind.weights import Tensor, TensorSpec, WeightFile

__all__ = ["LiveEngine"]

_log = get_logger("arrowmind.torch")


class LiveEngine(ArrowEngine):
    """An engine over a model folder and the newest weights of a channel.

    Weights come by name; those that the channel does not have are those of the folder. What was published
    with ``packed=True``, and what is quantised, is computed on where it lies in shared memory.

    Example::

        engine = LiveEngine("models/minilm", "run-7")
        engine.refresh()
    """

    def __init__(self, path: str | os.PathLike[str], channel: str | os.PathLike[str], **options: Any) -> None:
        """Opens the folder, and takes the weights of the channel where there are any.

        Args:
            path: model folder.
            channel: as the publisher gave it; need not be there yet.
            **options: as for :class:`arrowmind.ArrowEngine`.
        """
        super().__init__(str(path), **options)
        self._channel = Channel(channel)
        self._generation, self._published = 0, ""
        self.refresh()

    @property
    def generation(self) -> int:
        """Of the weights in use; 0 while they are those of the folder."""
        return self._generation

    @property
    def fingerprint(self) -> str:
        """Identifies the weights in use; another one after each :meth:`refresh` that changed them."""
        base = super().fingerprint
        if not self._generation:
            return base
        return hashlib.sha256(f"{base}:{self._published}".encode()).hexdigest()[:32]

    def refresh(self) -> bool:
        """Takes newer weights where there are any.

        A call of :meth:`encode` that runs meanwhile goes on, but may use both, for different texts.

        Returns:
            Whether there were any.

        Raises:
            WeightError: a published tensor is unknown to the model or has another shape; the engine goes on
                with the weights it has.
            IntegrityError: the file is damaged; likewise.
        """
        snapshot = self._channel.weights(after=self._generation)
        if snapshot is None:
            return False
        merged = _Merged(self._folder.weights, snapshot.weights)
        folder = self._folder
        self._plan = compile_plan(folder.model, merged, folder.max_tokens, quantise=self._optimize)
        self._generation, self._published = snapshot.generation, snapshot.weights.fingerprint
        _log.info("weights refreshed", generation=snapshot.generation, tensors=len(snapshot.weights.names()))
        return True


class _Merged(WeightSource):
    """A source with the tensors of another in the place of its own."""

    def __init__(self, base: WeightSource, newer: WeightFile) -> None:
        self.path, self.kind = newer.path, newer.kind
        self._base, self._newer = base, newer
        self._names = set(newer.names())
        known = set(base.names())
        for name in newer.names():
            if name not in known:
                raise base.missing(name)
            found, wanted = newer.spec(name).shape, base.spec(name).shape
            if found != wanted:
                raise WeightError(
                    f"{newer.path}: {name} has shape {list(found)}; the model has {list(wanted)}"
                )

    def names(self) -> list[str]:
        return self._base.names()

    def spec(self, name: str) -> TensorSpec:
        return self._of(name).spec(name)

    def tensor(self, name: str) -> Tensor:
        tensor = self._of(name).tensor(name)
        return tensor.for_kernels() if name in self._names else tensor

    def input_scale(self, name: str) -> npt.NDArray[np.float32] | None:
        return self._of(name).input_scale(name)

    @property
    def documents(self) -> dict[str, dict[str, Any]]:
        return self._base.documents

    def close(self) -> None:
        """Does nothing: both sources belong to whoever opened them."""

    def _of(self, name: str) -> WeightSource:
        return self._newer if name in self._names else self._base
