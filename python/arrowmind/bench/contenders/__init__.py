"""The strategies and peers a benchmark can run: one file each, found by name through `CONTENDERS`.

A contender module defines `prepare(job)`, which makes its model files once, `open_session(job)`, which
loads them, `cold_script(job)`, the few lines a user would write to get one embedding, and `model_bytes(job)`.
To add one, write the module and its row here.
"""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass
from typing import TYPE_CHECKING

from arrowmind.errors import ConfigurationError

if TYPE_CHECKING:
    from types import ModuleType


@dataclass(frozen=True)
class Contender:
    """One row: what runs, at what precision, in which module, and the packages it needs."""

    name: str
    module: str
    precision: str
    requires: tuple[str, ...] = ()
    group: str = "arrowmind"

    def missing(self) -> list[str]:
        """Return the packages this interpreter lacks for it."""
        return [package for package in self.requires if importlib.util.find_spec(package) is None]

    def load(self) -> ModuleType:
        """Import the module of this contender."""
        return importlib.import_module(f"{__name__}.{self.module}")


_ONNX = ("onnxruntime", "onnx", "torch")
_CT2 = ("ctranslate2", "transformers", "torch")

CONTENDERS = {
    row.name: row
    for row in (
        Contender("arrowmind-int8", "ours", "int8"),
        Contender("arrowmind-int4", "ours", "int4"),
        Contender("arrowmind-int2", "ours", "int2"),
        Contender("arrowmind-fp4", "ours", "fp4"),
        Contender("arrowmind-fp32", "ours", "fp32"),
        Contender("onnxruntime-fp32", "onnx_runtime", "fp32", _ONNX, "onnxruntime"),
        Contender("onnxruntime-int8", "onnx_runtime", "int8", _ONNX, "onnxruntime"),
        Contender("onnxruntime-int8-channel", "onnx_runtime", "int8", _ONNX, "onnxruntime"),
        Contender("ctranslate2-fp32", "ctranslate", "fp32", _CT2, "ctranslate2"),
        Contender("ctranslate2-int8", "ctranslate", "int8", _CT2, "ctranslate2"),
        Contender(
            "sentence-transformers-fp32",
            "sentence_bert",
            "fp32",
            ("sentence_transformers",),
            "sentence-transformers",
        ),
        Contender("torch-fp32", "torch_eager", "fp32", ("torch", "transformers"), "torch"),
        Contender("torch-compile-fp32", "torch_eager", "fp32", ("torch", "transformers"), "torch"),
    )
}

PEER_GROUPS = tuple(dict.fromkeys(row.group for row in CONTENDERS.values() if row.group != "arrowmind"))


def contender(name: str) -> Contender:
    """Return the row of this name.

    Raises:
        ConfigurationError: There is none; the message lists those there are.
    """
    row = CONTENDERS.get(name)
    if row is None:
        raise ConfigurationError(f"[bench] unknown contender {name!r}: choose from {', '.join(CONTENDERS)}")
    return row
