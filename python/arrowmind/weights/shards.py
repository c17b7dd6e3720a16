"""safetensors files, single or sharded, mapped: a tensor's bytes are read when it is asked for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind import _native
from arrowmind.errors import IntegrityError, WeightError
from arrowmind.weights.documents import read_json_object

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["Shards"]

_SINGLE = "model.safetensors"
_INDEX = "model.safetensors.index.json"
_DTYPES: dict[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "F16": np.dtype("<f2"), "BF16": np.dtype("<u2")}
_FLOATS = "F32, F16 and BF16"


class Shards:
    """The tensors of a folder's safetensors files.

    Opening checks every header (docs/formats/safetensors.md): types, shapes and offsets against each other
    and against the size of the file.
    """

    def __init__(self, folder: Path) -> None:
        """Finds and checks the files.

        Raises:
            WeightError: there are none, or one of those that the index names is missing.
            IntegrityError: a header is damaged, or a tensor lies in two files or in none.
        """
        self._files: dict[str, _native.SafetensorsFile] = {}
        self._homes: dict[str, Path] = {}
        self.paths = _find(folder)
        for path in self.paths:
            file = _native.SafetensorsFile.open(os.fsencode(path))
            for name in file.names():
                if name in self._files:
                    raise IntegrityError(f"{path}: tensor {name!r} is also in {self._homes[name]}")
                self._files[name], self._homes[name] = file, path
        self._check_index(folder / _INDEX)

    def names(self) -> list[str]:
        """Names of all tensors."""
        return list(self._files)

    def dtype(self, name: str) -> str:
        """Type of a tensor, as safetensors calls it."""
        return self._files[name].dtype(name)

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor."""
        return self._files[name].shape(name)

    def values(self, name: str) -> npt.NDArray[Any]:
        """A tensor as float32, float16 or bits of bfloat16 (uint16): a view of the mapping.

        Raises:
            WeightError: the tensor has a type that is not a float of 16 or 32 bits.
        """
        file = self._files[name]
        kind = file.dtype(name)
        if kind not in _DTYPES:
            raise WeightError(
                f"{self._homes[name]}: tensor {name!r} has type {kind}; {_FLOATS} can be converted"
            )
        values = file.tensor(name).view(_DTYPES[kind])
        shaped: npt.NDArray[Any] = values.reshape(file.shape(name))
        return shaped

    def close(self) -> None:
        """Lets go of the files. Arrays taken from them stay valid."""
        self._files.clear()

    def _check_index(self, path: Path) -> None:
        if not path.exists():
            return
        missing = [name for name in _weight_map(path) if name not in self._files]
        if missing:
            raise IntegrityError(f"{path}: no file holds tensor {missing[0]!r} ({len(missing)} are missing)")


def _find(folder: Path) -> list[Path]:
    single, index = folder / _SINGLE, folder / _INDEX
    if index.exists():
        names = sorted(set(_weight_map(index).values()))
        paths = [folder / name for name in names if Path(name).name == name]
        if not names or len(paths) < len(names):
            raise WeightError(f"{index}: its file names {names[:3]} are not plain names; download it again")
    else:
        paths = [single]
    for path in paths:
        if not path.is_file():
            raise WeightError(f"{path} is missing{_instead(folder)}")
    return paths


def _instead(folder: Path) -> str:
    if any((folder / name).exists() for name in ("pytorch_model.bin", "tf_model.h5")):
        return "; this folder has only pickled weights, which are never read: save them as safetensors"
    return "; give a folder with safetensors weights, config.json and tokenizer.json"


def _weight_map(path: Path) -> dict[str, str]:
    weight_map = read_json_object(path).get("weight_map")
    if not isinstance(weight_map, dict) or not all(isinstance(v, str) for v in weight_map.values()):
        raise WeightError(f"{path}: has no object weight_map of file names; download or copy it again")
    return weight_map
