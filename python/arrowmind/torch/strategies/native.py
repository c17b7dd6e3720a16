"""Our engine's kernels: linear layers become int8 with a scale per row.

Results differ by what int8 loses, so that `auto` does not take it.
"""

from __future__ import annotations

from typing import Any

import torch

from arrowmind.torch.linear import QuantizedLinear
from arrowmind.torch.replace import replace_linears
from arrowmind.torch.strategies.copying import copy_sharing_tensors

__all__ = ["NAME", "RANK", "missing", "prepare"]

NAME = "native"
RANK = None


def missing() -> str:
    """Nothing: kernels for every processor are part of the package."""
    return ""


def prepare(model: Any) -> Any:
    """A copy whose linear layers are quantised; the rest shares its tensors with the model."""
    made = copy_sharing_tensors(model)
    if type(made) is torch.nn.Linear:
        return QuantizedLinear.from_linear(made)
    replace_linears(made)
    return made
