"""sentence-transformers, as its users call it: FP32 on torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arrowmind.bench.contenders import base

if TYPE_CHECKING:
    from collections.abc import Sequence


def prepare(job: base.Job) -> None:
    """Do nothing: it reads the Hugging Face folder."""


def open_session(job: base.Job) -> base.Session:
    """Load the model."""
    return _Session(job)


def cold_script(job: base.Job) -> str:
    """Return what a user would write to get one embedding."""
    return f"""
from sentence_transformers import SentenceTransformer
model = SentenceTransformer({str(job.source)!r}, device="cpu")
vector = model.encode([TEXT], normalize_embeddings=True)
"""


def model_bytes(job: base.Job) -> int:
    """Return the size of the weights on disk."""
    return (job.source / "model.safetensors").stat().st_size


class _Session:
    def __init__(self, job: base.Job) -> None:
        import sentence_transformers  # noqa: PLC0415
        import torch  # noqa: PLC0415

        torch.set_num_threads(job.threads)
        self._model = sentence_transformers.SentenceTransformer(str(job.source), device="cpu")
        self.use(base.Setting(32))

    def settings(self) -> Sequence[base.Setting]:
        return [base.Setting(batch) for batch in (8, 16, 32, 64)]

    def use(self, setting: base.Setting) -> None:
        self._batch = setting.batch

    def encode(self, texts: list[str]) -> base.Vectors:
        vectors: base.Vectors = self._model.encode(
            texts, batch_size=self._batch, normalize_embeddings=True, show_progress_bar=False
        )
        return vectors
