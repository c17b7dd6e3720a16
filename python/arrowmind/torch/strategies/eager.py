"""The standard path of torch."""

from __future__ import annotations

from typing import Any

from arrowmind.torch.strategies.copying import copy_sharing_tensors

__all__ = ["NAME", "RANK", "missing", "prepare"]

NAME = "eager"
RANK = 100


def missing() -> str:
    """Nothing."""
    return ""


def prepare(model: Any) -> Any:
    """The model in evaluation mode."""
    return copy_sharing_tensors(model)
