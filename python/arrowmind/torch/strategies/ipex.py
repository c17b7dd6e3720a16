"""Intel's extension for PyTorch, where it happens to be installed; at the end of its life, never required."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
from typing import Any

import torch

from arrowmind.torch.strategies.copying import copy_sharing_tensors

__all__ = ["NAME", "RANK", "missing", "prepare"]

NAME = "ipex"
RANK = 10

_PACKAGE = "intel_extension_for_pytorch"


def missing() -> str:
    """The package, or one that was built for this torch: importing another would end the process."""
    if importlib.util.find_spec(_PACKAGE) is None:
        return f"{_PACKAGE} is not installed"
    try:
        built = importlib.metadata.version(_PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        return f"{_PACKAGE} does not tell its version"
    if built.split(".")[:2] != torch.__version__.split(".")[:2]:
        return f"{_PACKAGE} {built} is for another torch than {torch.__version__}"
    return ""


def prepare(model: Any) -> Any:
    """The model as the extension optimises it."""
    return importlib.import_module(_PACKAGE).optimize(copy_sharing_tensors(model), inplace=True)
