"""torch.compile with its default backend: C++ made for the model, on the first call of each form of input.

That takes from seconds to a minute, so that `auto` does not take it.
"""

from __future__ import annotations

import os
import shutil
from typing import Any

import torch

from arrowmind.observe import record_fallback
from arrowmind.torch.strategies.copying import copy_sharing_tensors

__all__ = ["NAME", "RANK", "missing", "prepare"]

NAME = "compile"
RANK = None


def missing() -> str:
    """A C++ compiler."""
    wanted = os.environ.get("CXX", "")
    if any(shutil.which(name) for name in (wanted, "g++", "clang++", "c++") if name):
        return ""
    return "there is no C++ compiler (g++ or clang++), or CXX names one that is not there"


def prepare(model: Any) -> Any:
    """The model, to be compiled when it is first called."""
    return _Compiled(copy_sharing_tensors(model))


class _Compiled(torch.nn.Module):
    """A compiled model, until compiling or running it fails where eager mode does not."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self._run = torch.compile(model).__call__  # no module: its state is that of `model`
        self._failed = False

    def forward(self, *arguments: Any, **keywords: Any) -> Any:
        if self._failed:
            return self.model(*arguments, **keywords)
        try:
            return self._run(*arguments, **keywords)
        except Exception as error:
            result = self.model(*arguments, **keywords)  # raises again what is wrong with the input
            record_fallback("torch strategy", "compile failed on the model", error=str(error))
            self._failed = True
            return result
