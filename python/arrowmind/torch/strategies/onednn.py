"""oneDNN through torch: the matrices of linear layers, packed once in the order that its kernels read.

Elsewhere torch takes oneDNN by itself where that is faster (float16, bfloat16, convolutions).
"""

from __future__ import annotations

from typing import Any

import torch

from arrowmind.torch.strategies.copying import copy_sharing_tensors

__all__ = ["NAME", "RANK", "missing", "prepare"]

NAME = "onednn"
RANK = 20


def missing() -> str:
    """A torch that was built with oneDNN, and has the operators that take packed matrices."""
    if not torch.backends.mkldnn.is_available():
        return "this torch was built without oneDNN"
    if not torch.backends.mkldnn.enabled:
        return "torch.backends.mkldnn is switched off"
    if not all(hasattr(torch.ops.mkldnn, name) for name in ("_linear_pointwise", "_reorder_linear_weight")):
        return f"torch {torch.__version__} has no operators over matrices packed by oneDNN"
    return ""


def prepare(model: Any) -> Any:
    """A copy for inference whose float32 linear layers hold packed matrices."""
    made = copy_sharing_tensors(model)
    if type(made) is torch.nn.Linear:
        return _Linear(made)
    for name, module in list(made.named_modules(remove_duplicate=False)):
        if type(module) is torch.nn.Linear and module.weight.dtype == torch.float32:
            made.set_submodule(name, _Linear(module))
    return made


class _Linear(torch.nn.Module):
    """A linear layer for inference over a packed matrix."""

    def __init__(self, linear: Any) -> None:
        super().__init__()
        weight = linear.weight.detach()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.bias = linear.bias
        self._packed = torch.ops.mkldnn._reorder_linear_weight(weight, None)

    def forward(self, x: Any) -> Any:
        return torch.ops.mkldnn._linear_pointwise(x, self._packed, self.bias, "none", [], "")
