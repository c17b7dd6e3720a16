"""Ways to run a torch or Hugging Face model on the CPU. One file each; a new file is a new strategy.

A module of this folder has

::

    NAME                what it is called
    RANK                its place for `auto`, small first; None: only when it is asked for by name
    missing() -> str    why it cannot be used here; empty when it can
    prepare(model)      a model that does the same, faster; the one given stays as it is
"""

from __future__ import annotations

from arrowmind.torch.strategies.registry import Strategy, available, choose, prepare

__all__ = ["Strategy", "available", "choose", "prepare"]
