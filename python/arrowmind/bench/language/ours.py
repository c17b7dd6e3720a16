"""Our own decoder, one sequence with its cache of keys and values in fp16."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from arrowmind import _native
from arrowmind.bench.language.contenders import row_of
from arrowmind.bench.language.forms import FORMS, coded_tensors
from arrowmind.bench.language.shape import SeededWeights
from arrowmind.engine.cache_settings import CacheSettings
from arrowmind.engine.decoding import CachedDecoder
from arrowmind.engine.folder import ModelFolder
from arrowmind.engine.language import LanguageModel
from arrowmind.weights.schema import FILE_NAME
from arrowmind.weights.writer import write_weights

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from arrowmind.bench.contenders.base import Job

__all__ = ["open_session", "prepare"]

_LONGEST = 4096


def prepare(job: Job) -> Path:
    """Writes the model folder unless it is there; its weights."""
    weights = job.cache / FILE_NAME
    if not weights.exists():
        source = SeededWeights(job.source)
        job.cache.mkdir(parents=True, exist_ok=True)
        shutil.copy(job.source / "config.json", job.cache)
        write_weights(weights, coded_tensors(source, FORMS[row_of(job.name).form]), source.documents)
    return weights


def open_session(job: Job) -> _Session:
    """Loads the model."""
    return _Session(job.cache, job.threads)


class _Session:
    def __init__(self, folder: Path, threads: int) -> None:
        opened = ModelFolder(folder, verify="off")
        pool = _native.ThreadPool(threads)
        model = LanguageModel(opened.decoder, opened.weights, _LONGEST, pool)
        self._decoder = CachedDecoder(model, CacheSettings())
        self._handle = self._decoder.start()
        self.weight_bytes = (folder / FILE_NAME).stat().st_size

    def feed(self, ids: Sequence[int]) -> npt.NDArray[np.float32]:
        (logits,) = self._decoder.append([(self._handle, ids, 1)])
        last: npt.NDArray[np.float32] = logits[0]
        return last

    def restart(self) -> None:
        self._decoder.close(self._handle)
        self._handle = self._decoder.start()
