"""What a method of quantisation is given, and what it gives back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from arrowmind.observe import no_progress

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import TypeAlias

    import numpy as np
    import numpy.typing as npt

    from arrowmind.observe import Progress
    from arrowmind.quantize.config import QuantizationConfig
    from arrowmind.quantize.embedders import Calibrator
    from arrowmind.quantize.overlay import HasValues
    from arrowmind.quantize.scheme import Quantized
    from arrowmind.weights import WeightSource
    from arrowmind.weights.formats import Grid, GridCodes

    Codes: TypeAlias = GridCodes | Quantized

__all__ = ["Input", "Job", "Method", "Outcome"]


@dataclass(frozen=True)
class Input:
    """How what enters a matrix is scaled, and the weight of each column's squared error.

    Attributes:
        scale: float32 [k], multiplies the inputs; the matrix is divided by it. None leaves both alone.
        importance: float32 [k], mean square of the scaled inputs.
    """

    scale: npt.NDArray[np.float32] | None
    importance: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Job:
    """A model to quantise.

    Attributes:
        weights: the original.
        config: choices of the user.
        grids: by matrix, where it goes; matrices that are not named stay as they are.
        inputs: by matrix, how its inputs are scaled; empty where they are not.
        calibrator: runs the original over calibration texts; None where no engine is at hand.
        folder: of the original, as the engine reads it; None without an engine.
        texts: to train on.
        calibration_sha256: of the texts of the calibrator, and of those that scale inputs.
        state: a folder for what long work can be resumed from; None to keep nothing.
        progress: told of what is done.
    """

    weights: WeightSource
    config: QuantizationConfig
    grids: Mapping[str, Grid]
    inputs: Mapping[str, Input] = field(default_factory=dict)
    calibrator: Calibrator | None = None
    folder: Path | None = None
    texts: tuple[str, ...] = ()
    calibration_sha256: str = ""
    state: Path | None = None
    progress: Progress = no_progress

    def matrix(self, name: str) -> npt.NDArray[np.float32]:
        """The matrix as it meets its inputs once they are scaled, float32 [n, k]."""
        tensor = self.weights.tensor(name)
        tensor.verify()
        values = tensor.to_float32()
        scale = self.input_scale(name)
        return values if scale is None else values / scale

    def input_scale(self, name: str) -> npt.NDArray[np.float32] | None:
        """What the inputs of a matrix are multiplied by, float32 [k]; None for nothing."""
        entering = self.inputs.get(name)
        return None if entering is None else entering.scale

    def is_scaled(self, name: str) -> bool:
        """Whether the inputs of a matrix are scaled."""
        return self.input_scale(name) is not None


@dataclass
class Outcome:
    """What a method made.

    Attributes:
        codes: by matrix, of all that the job named.
        vectors: biases and norms that changed with them, and tables, float32.
        floats: matrices and tables that were put back to floating point: ``fp16`` or ``fp32``.
        tables: types of the codes of tables, where another than the configuration's was chosen.
    """

    codes: dict[str, Codes] = field(default_factory=dict)
    vectors: dict[str, npt.NDArray[np.float32]] = field(default_factory=dict)
    floats: dict[str, str] = field(default_factory=dict)
    tables: dict[str, str] = field(default_factory=dict)

    def replaced(self, job: Job) -> dict[str, HasValues | npt.NDArray[np.float32]]:
        """What stands in for the original's tensors, for an overlay of it."""
        stand: dict[str, HasValues | npt.NDArray[np.float32]] = dict(self.vectors)
        for name, codes in self.codes.items():
            scale = job.input_scale(name)
            stand[name] = codes if scale is None else _Scaled(codes, scale)
        return stand


@dataclass(frozen=True)
class _Scaled:
    codes: Codes
    scale: npt.NDArray[np.float32]

    def values(self) -> npt.NDArray[np.float32]:
        return self.codes.values() * self.scale


class Method(Protocol):
    """A module of this folder."""

    NAME: str

    def run(self, job: Job) -> Outcome:
        """Quantises all matrices of ``job``."""
