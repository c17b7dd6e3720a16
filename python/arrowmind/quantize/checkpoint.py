"""What interrupted work goes on from: files that are replaced whole, and say what work they are of."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind.observe import get_logger
from arrowmind.quantize.report import Thresholds
from arrowmind.quantize.scheme import Quantized
from arrowmind.weights.formats import GridCodes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from arrowmind.quantize.methods.base import Codes, Job
    from arrowmind.weights.formats import Grid

__all__ = ["CHECKPOINT", "Kept", "kept_of", "load_arrays", "part_name", "save_arrays", "work_key"]

CHECKPOINT = "checkpoint.npz"

_log = get_logger("arrowmind.quantize")
_PARTS = ("codes", "scales", "zeros", "outer", "zero_points")
# Choices that change no step of the work, or that stand in the grids and the schedule already.
_OF_NO_EFFECT = {
    *(item.name for item in fields(Thresholds)),
    *("on_failure", "steps", "size_budget", "bits_budget"),
}


def work_key(job: Job, *of: object) -> str:
    """Equal keys mean equal work: weights, grids, inputs, texts and choices, and what else it depends on.

    Args:
        job: the model, and how it is quantised.
        of: whatever else decides the result; equal things print equally.
    """
    digest = hashlib.sha256()
    digest.update(job.weights.fingerprint.encode())
    config = {name: value for name, value in job.config.to_dict().items() if name not in _OF_NO_EFFECT}
    digest.update(json.dumps([config, job.calibration_sha256], sort_keys=True).encode())
    digest.update(repr([sorted(job.grids.items()), sorted(job.inputs), of]).encode())
    for name in sorted(job.inputs):
        scale = job.input_scale(name)
        digest.update(b"" if scale is None else scale.tobytes())
    digest.update("\0".join(job.texts).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


@dataclass(frozen=True)
class Kept:
    """Finished parts of one work, in a folder of state.

    Attributes:
        folder: where; None keeps nothing.
        key: of the work: parts of other work are not there.
    """

    folder: Path | None
    key: str

    def load(self, part: str) -> dict[str, npt.NDArray[Any]] | None:
        """The arrays of a part; None where it is not there."""
        found = None if self.folder is None else load_arrays(self._path(part), self.key)
        return None if found is None else found[1]

    def save(self, part: str, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Keeps a part."""
        if self.folder is not None:
            save_arrays(self._path(part), self.key, 0, arrays)

    def load_codes(self, part: str, grids: Mapping[str, Grid]) -> dict[str, Codes] | None:
        """The codes of a part, by matrix; None where it is not there.

        Args:
            part: as it was saved.
            grids: by matrix.
        """
        found = self.load(part)
        if found is None:
            return None
        by_name: dict[str, dict[str, Any]] = {}
        for label, array in found.items():
            name, _, buffer = label.rpartition(":")
            by_name.setdefault(name, {})[buffer] = array
        return {
            name: Quantized(**buffers)
            if buffers["codes"].dtype == np.int8
            else GridCodes(grids[name], **buffers)
            for name, buffers in by_name.items()
        }

    def save_codes(self, part: str, codes: Mapping[str, Codes]) -> None:
        """Keeps the codes of some matrices."""
        buffers = {
            f"{name}:{buffer}": array
            for name, matrix in codes.items()
            for buffer, array in vars(matrix).items()
            if buffer in _PARTS and array is not None
        }
        self.save(part, buffers)

    def _path(self, part: str) -> Path:
        if self.folder is None:
            raise ValueError("nothing is kept without a folder")
        return self.folder / f"{part}.npz"


def kept_of(job: Job, *of: object) -> Kept:
    """What is kept of the work that ``job`` and ``of`` describe."""
    return Kept(job.state, "" if job.state is None else work_key(job, *of))


def part_name(stage: str, matrices: Sequence[str]) -> str:
    """The part of a stage that is about some matrices, as a file name without its ending."""
    return f"{stage}-{hashlib.sha256(' '.join(matrices).encode()).hexdigest()[:16]}"


def save_arrays(path: Path, key: str, step: int, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Writes arrays in place of those before.

    Args:
        path: of the file; its folder exists.
        key: of the work.
        step: steps done.
        arrays: by name.
    """
    header = np.frombuffer(json.dumps({"key": key, "step": step}).encode(), dtype=np.uint8)
    temporary = path.with_name(f".{path.name}.writing")
    with temporary.open("wb") as file:
        np.savez(file, __header__=header, **arrays)  # type: ignore[arg-type]
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def load_arrays(path: Path, key: str) -> tuple[int, dict[str, npt.NDArray[Any]]] | None:
    """Steps done and arrays of a file with this key; None where there is none, or it cannot be read."""
    if not path.exists():
        return None
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            header = json.loads(file["__header__"].tobytes())
            if header["key"] != key:
                _log.warning("what was kept belongs to other work; starting anew", path=str(path))
                return None
            return int(header["step"]), {name: file[name] for name in file.files if name != "__header__"}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        _log.warning("what was kept cannot be read; starting anew", path=str(path), error=str(error))
        return None
