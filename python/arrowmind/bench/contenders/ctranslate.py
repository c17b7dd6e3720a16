"""CTranslate2: its own converter and encoder, FP32 or INT8; pooling in NumPy, as its documentation does."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np

from arrowmind.bench.contenders import base

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_COMPUTE = {"ctranslate2-fp32": "float32", "ctranslate2-int8": "int8"}


def prepare(job: base.Job) -> None:
    """Convert the model unless it is there."""
    if _model_folder(job).exists():
        return
    from ctranslate2.converters import TransformersConverter  # noqa: PLC0415

    partial = job.cache / "partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.parent.mkdir(parents=True, exist_ok=True)
    TransformersConverter(str(job.source)).convert(str(partial), quantization=_COMPUTE[job.name])
    partial.replace(_model_folder(job))


def open_session(job: base.Job) -> base.Session:
    """Load the tokenizer and the encoder."""
    return _Session(job)


def cold_script(job: base.Job) -> str:
    """Return what a user would write to get one embedding."""
    return f"""
import ctranslate2, numpy, tokenizers
options = dict(intra_threads={job.threads}, compute_type={_COMPUTE[job.name]!r})
encoder = ctranslate2.Encoder({str(_model_folder(job))!r}, **options)
tokens = tokenizers.Tokenizer.from_file({str(job.source / "tokenizer.json")!r}).encode(TEXT)
ids = [tokens.ids[: sum(tokens.attention_mask)]]
vector = numpy.array(encoder.forward_batch(ids).last_hidden_state)[0].mean(0)
vector /= numpy.linalg.norm(vector)
"""


def model_bytes(job: base.Job) -> int:
    """Return the size of the weights on disk."""
    return (_model_folder(job) / "model.bin").stat().st_size


class _Session:
    def __init__(self, job: base.Job) -> None:
        self._job = job
        self._tokens = base.Tokens(job.source)
        self.use(base.Setting(32, 1))

    def settings(self) -> Sequence[base.Setting]:
        return base.padding_settings(self._job.threads)

    def use(self, setting: base.Setting) -> None:
        import ctranslate2  # noqa: PLC0415

        self._encoder = ctranslate2.Encoder(
            str(_model_folder(self._job)),
            device="cpu",
            inter_threads=setting.callers,
            intra_threads=max(1, self._job.threads // setting.callers),
            compute_type=_COMPUTE[self._job.name],
        )
        self._setting = setting

    def encode(self, texts: list[str]) -> base.Vectors:
        batches = self._tokens.batches(texts, self._setting.batch)
        return base.run_batches(batches, self._forward, self._setting.callers, len(texts))

    def _forward(self, batch: base.Batch) -> base.Vectors:
        import ctranslate2  # noqa: PLC0415

        lengths = batch.mask.sum(1).astype(np.int32)
        ids = ctranslate2.StorageView.from_array(batch.ids.astype(np.int32))
        output = self._encoder.forward_batch(ids, ctranslate2.StorageView.from_array(lengths))
        hidden = np.asarray(output.last_hidden_state)
        weights = batch.mask.astype(np.float32) / lengths[:, None]
        pooled: base.Vectors = np.matmul(weights[:, None, :], hidden)[:, 0]
        pooled /= np.linalg.norm(pooled, axis=1, keepdims=True)
        return pooled


def _model_folder(job: base.Job) -> Path:
    return job.cache / job.name
