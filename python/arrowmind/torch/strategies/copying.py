"""Copies of models that share their tensors."""

from __future__ import annotations

import copy
from itertools import chain
from typing import Any

__all__ = ["copy_sharing_tensors"]


def copy_sharing_tensors(model: Any) -> Any:
    """A copy of a module whose submodules can be replaced; its tensors are those of the original."""
    shared = {id(tensor): tensor for tensor in chain(model.parameters(), model.buffers())}
    return copy.deepcopy(model, shared).eval()
