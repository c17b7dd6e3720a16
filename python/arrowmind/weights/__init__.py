"""Weights: tensors and how they are stored; native, Parquet, GGUF, Hugging Face; conversion; integrity.

::

    formats, roles, tensor       types, layouts, what a tensor is for; a tensor with its buffers
    schema, index, file, writer  weights.arrow
    parquet, parquet_source      Parquet schemas V1 and V2
    shards, configuration,
    huggingface, export          Hugging Face folders, both ways
    source, opening              what all of them offer; opens any of them
    streaming                    matrices that come and go within a budget
    gguf                         GGUF files, both ways
    folder, manifest             folders that appear whole, and what is in them
    convert, verify              what `arrowmind convert` and `arrowmind verify` do
    encryption                   AES-256-GCM at rest, for files and folders
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from arrowmind.weights.file import WeightFile
from arrowmind.weights.opening import open_weights
from arrowmind.weights.source import WeightSource
from arrowmind.weights.tensor import Tensor
from arrowmind.weights.tensor_spec import TensorSpec

if TYPE_CHECKING:
    from arrowmind.weights.convert import ConvertReport, convert_model
    from arrowmind.weights.encryption.model import EncryptionReport, decrypt_model, encrypt_model
    from arrowmind.weights.encryption.rotation import rotate_model, verify_encrypted
    from arrowmind.weights.gguf.source import GgufModel
    from arrowmind.weights.huggingface import HuggingFaceModel
    from arrowmind.weights.parquet import write_parquet
    from arrowmind.weights.parquet_source import ParquetWeights
    from arrowmind.weights.streaming import Moving, StreamedWeights, streamed_bytes
    from arrowmind.weights.verify import VerifyReport, verify_model
    from arrowmind.weights.writer import write_weights

__all__ = [
    "ConvertReport",
    "EncryptionReport",
    "GgufModel",
    "HuggingFaceModel",
    "Moving",
    "ParquetWeights",
    "StreamedWeights",
    "Tensor",
    "TensorSpec",
    "VerifyReport",
    "WeightFile",
    "WeightSource",
    "convert_model",
    "decrypt_model",
    "encrypt_model",
    "open_weights",
    "rotate_model",
    "streamed_bytes",
    "verify_encrypted",
    "verify_model",
    "write_parquet",
    "write_weights",
]

# What only conversion needs is imported when it is asked for, so that an engine starts sooner.
_HOMES = {
    "ConvertReport": "convert",
    "convert_model": "convert",
    "EncryptionReport": "encryption.model",
    "decrypt_model": "encryption.model",
    "encrypt_model": "encryption.model",
    "rotate_model": "encryption.rotation",
    "verify_encrypted": "encryption.rotation",
    "GgufModel": "gguf.source",
    "HuggingFaceModel": "huggingface",
    "ParquetWeights": "parquet_source",
    "Moving": "streaming",
    "StreamedWeights": "streaming",
    "streamed_bytes": "streaming",
    "VerifyReport": "verify",
    "verify_model": "verify",
    "write_parquet": "parquet",
    "write_weights": "writer",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
