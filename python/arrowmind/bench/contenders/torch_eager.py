"""Plain PyTorch and `torch.compile` over the same small BERT, at FP32."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arrowmind.bench.contenders import base

if TYPE_CHECKING:
    from collections.abc import Sequence


def prepare(job: base.Job) -> None:
    """Do nothing: it reads the Hugging Face folder."""


def open_session(job: base.Job) -> base.Session:
    """Load the model; compile it if the name says so."""
    return _Session(job)


def cold_script(job: base.Job) -> str:
    """Return what a user would write to get one embedding."""
    return f"""
import torch, transformers
torch.set_num_threads({job.threads})
tokenizer = transformers.AutoTokenizer.from_pretrained({str(job.source)!r})
model = transformers.AutoModel.from_pretrained({str(job.source)!r})
with torch.inference_mode():
    vector = model(**tokenizer(TEXT, return_tensors="pt")).last_hidden_state.mean(1)
"""


def model_bytes(job: base.Job) -> int:
    """Return the size of the weights on disk."""
    return (job.source / "model.safetensors").stat().st_size


class _Session:
    def __init__(self, job: base.Job) -> None:
        import torch  # noqa: PLC0415

        from arrowmind.bench.contenders.torch_bert import load  # noqa: PLC0415

        torch.set_num_threads(job.threads)
        model = load(job.source)
        self._model = torch.compile(model, dynamic=True) if "compile" in job.name else model
        self._tokens = base.Tokens(job.source)
        self.use(base.Setting(32))

    def settings(self) -> Sequence[base.Setting]:
        return [base.Setting(batch) for batch in (8, 16, 32)]

    def use(self, setting: base.Setting) -> None:
        self._batch = setting.batch

    def encode(self, texts: list[str]) -> base.Vectors:
        return base.run_batches(self._tokens.batches(texts, self._batch), self._forward, 1, len(texts))

    def _forward(self, batch: base.Batch) -> base.Vectors:
        import torch  # noqa: PLC0415

        with torch.inference_mode():
            output = self._model(torch.from_numpy(batch.ids), torch.from_numpy(batch.mask))
        vectors: base.Vectors = output.numpy()
        return vectors
