"""What an interrupted training goes on from: files that are replaced whole, and say what work they are of."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind.observe import get_logger
from arrowmind.quantize.scheme import Quantized
from arrowmind.weights.formats import GridCodes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy.typing as npt

    from arrowmind.quantize.distill.schedule import Schedule
    from arrowmind.quantize.methods.base import Codes, Job

__all__ = ["CHECKPOINT", "load_arrays", "load_codes", "save_arrays", "save_codes", "work_key"]

CHECKPOINT = "checkpoint.npz"

_log = get_logger("arrowmind.quantize")
_START = "start.npz"
_PARTS = ("codes", "scales", "zeros", "outer", "zero_points")


def work_key(job: Job, schedule: Schedule) -> str:
    """Equal keys mean equal work: weights, grids, configuration (but for thresholds), schedule and texts."""
    digest = hashlib.sha256()
    digest.update(job.weights.fingerprint.encode())
    config = {name: value for name, value in job.config.to_dict().items() if not name.startswith("cosine")}
    digest.update(json.dumps([config, vars(schedule)], sort_keys=True).encode())
    digest.update(repr(sorted((name, grid) for name, grid in job.grids.items())).encode())
    digest.update("\0".join(job.texts).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


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


def save_codes(folder: Path, key: str, codes: Mapping[str, Codes]) -> None:
    """Keeps the codes a training starts from."""
    parts = {
        f"{name}:{part}": array
        for name, matrix in codes.items()
        for part, array in vars(matrix).items()
        if part in _PARTS and array is not None
    }
    save_arrays(folder / _START, key, 0, parts)


def load_codes(folder: Path, key: str, job: Job) -> dict[str, Codes] | None:
    """The codes kept under this key; None where there are none."""
    found = load_arrays(folder / _START, key)
    if found is None:
        return None
    by_name: dict[str, dict[str, Any]] = {}
    for label, array in found[1].items():
        name, _, part = label.rpartition(":")
        by_name.setdefault(name, {})[part] = array
    return {
        name: Quantized(**parts) if parts["codes"].dtype == np.int8 else GridCodes(job.grids[name], **parts)
        for name, parts in by_name.items()
    }
