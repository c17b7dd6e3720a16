"""ONNX Runtime: the model exported through torch, at FP32 or with its dynamic INT8 quantisation.

`onnxruntime-int8` uses the defaults of `quantize_dynamic` with signed weights; `onnxruntime-int8-channel`
adds per-channel scales and the reduced range, which its documentation advises for processors without VNNI.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from arrowmind.bench.contenders import base

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_INPUTS = ("input_ids", "attention_mask")


def prepare(job: base.Job) -> None:
    """Export the model, or quantise the exported one, unless the file is there."""
    target = _model_file(job)
    if target.exists():
        return
    job.cache.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(".partial")
    if job.name == "onnxruntime-fp32":
        from arrowmind.bench.contenders.torch_bert import export_onnx  # noqa: PLC0415

        export_onnx(job.source, partial)
    else:
        prepare(_exported(job))
        _quantize(_model_file(_exported(job)), partial, per_channel=job.name == "onnxruntime-int8-channel")
    partial.replace(target)


def open_session(job: base.Job) -> base.Session:
    """Load the tokenizer and the graph."""
    return _Session(job)


def cold_script(job: base.Job) -> str:
    """Return what a user would write to get one embedding."""
    return f"""
import numpy, onnxruntime, tokenizers
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = {job.threads}
session = onnxruntime.InferenceSession({str(_model_file(job))!r}, options, providers=["CPUExecutionProvider"])
tokens = tokenizers.Tokenizer.from_file({str(job.source / "tokenizer.json")!r}).encode(TEXT)
n = sum(tokens.attention_mask)
ids = numpy.array([tokens.ids[:n]])
vector = session.run(None, {{"input_ids": ids, "attention_mask": numpy.ones_like(ids)}})[0]
"""


def model_bytes(job: base.Job) -> int:
    """Return the size of the weights on disk."""
    return _model_file(job).stat().st_size


class _Session:
    def __init__(self, job: base.Job) -> None:
        self._job = job
        self._tokens = base.Tokens(job.source)
        self.use(base.Setting(32, 1))

    def settings(self) -> Sequence[base.Setting]:
        return base.padding_settings(self._job.threads)

    def use(self, setting: base.Setting) -> None:
        import onnxruntime  # noqa: PLC0415

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = max(1, self._job.threads // setting.callers)
        options.inter_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        path = str(_model_file(self._job))
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self._setting = setting

    def encode(self, texts: list[str]) -> base.Vectors:
        batches = self._tokens.batches(texts, self._setting.batch)
        return base.run_batches(batches, self._forward, self._setting.callers, len(texts))

    def _forward(self, batch: base.Batch) -> base.Vectors:
        feeds = dict(zip(_INPUTS, (batch.ids, batch.mask), strict=True))
        vectors: base.Vectors = self._session.run(None, feeds)[0]
        return vectors


def _model_file(job: base.Job) -> Path:
    return job.cache / f"{job.name}.onnx"


def _exported(job: base.Job) -> base.Job:
    name = "onnxruntime-fp32"
    return base.Job(name, job.source, job.cache.parent / name, job.threads)


def _quantize(exported: Path, target: Path, *, per_channel: bool) -> None:
    import onnxruntime.quantization as tools  # noqa: PLC0415
    from onnxruntime.quantization.shape_inference import quant_pre_process  # noqa: PLC0415

    clean = target.with_suffix(".clean")
    try:
        quant_pre_process(str(exported), str(clean), skip_symbolic_shape=True)
    except Exception:  # an optional step of theirs
        shutil.copyfile(exported, clean)
    options: dict[str, Any] = {"per_channel": per_channel, "reduce_range": per_channel}
    tools.quantize_dynamic(str(clean), str(target), weight_type=tools.QuantType.QInt8, **options)
    clean.unlink()
