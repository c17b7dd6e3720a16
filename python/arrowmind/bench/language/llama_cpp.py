"""llama.cpp through the functions of its own interface, as its benchmark program calls them.

F16, Q8_0 and Q4_0 are written by our exporter, as its own quantiser would at this shape; Q2_K is made by its
quantiser from F16.
"""

from __future__ import annotations

import ctypes
import shutil
from typing import TYPE_CHECKING

from arrowmind.bench.language.contenders import row_of
from arrowmind.bench.language.llama_session import LlamaSession
from arrowmind.bench.language.shape import SeededWeights
from arrowmind.errors import OptimizationError
from arrowmind.weights.gguf.writer import write_gguf

if TYPE_CHECKING:
    from pathlib import Path

    from arrowmind.bench.contenders.base import Job

__all__ = ["open_session", "prepare"]

_FILE = "model.gguf"
_QUANTISED = "Q2_K"


def prepare(job: Job) -> Path:
    """Writes the GGUF file unless it is there."""
    path, form = job.cache / _FILE, row_of(job.name).form
    if path.exists():
        return path
    job.cache.mkdir(parents=True, exist_ok=True)
    shutil.copy(job.source / "tokenizer.json", job.cache)
    if form != _QUANTISED:
        write_gguf(SeededWeights(job.source), path, matrices=form)
        return path
    original = job.cache / "F16.gguf"
    write_gguf(SeededWeights(job.source), original, matrices="F16")
    partial = job.cache / "partial.gguf"
    _quantise(original, partial, job.threads)
    original.unlink()
    partial.replace(path)
    return path


def _quantise(original: Path, path: Path, threads: int) -> None:
    import llama_cpp as lib  # noqa: PLC0415

    options = lib.llama_model_quantize_default_params()
    options.ftype, options.nthread = lib.LLAMA_FTYPE_MOSTLY_Q2_K, threads
    if lib.llama_model_quantize(bytes(original), bytes(path), ctypes.byref(options)) != 0:
        raise OptimizationError(f"[bench] llama.cpp could not quantise {original}")


def open_session(job: Job) -> LlamaSession:
    """Loads the model."""
    return LlamaSession(job.cache / _FILE, job.threads)
