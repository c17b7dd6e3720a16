"""The bridge to PyTorch. `import arrowmind` does not come here; torch is loaded by the names that need it.

::

    ops           torch.ops.arrowmind.qlinear and .dequantize: our kernels over the memory of tensors
    linear        QuantizedLinear, a module over them
    replace       replace_linears: a model's linear layers become quantised ones
    rounding      the matrix of one layer onto its grid, with or without what entered it
    tensors       tensors of a model folder over a mapping of its file; embeddings as tensors
    strategies    ways to run a model on the CPU, one file each
    channel       weights and activations handed over between processes in shared memory (without torch)
    live          an engine that follows such a channel (without torch)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from arrowmind.errors import ConfigurationError

if TYPE_CHECKING:
    from arrowmind.torch.channel import Channel, Publisher, Snapshot, sweep_channels
    from arrowmind.torch.linear import QuantizedLinear
    from arrowmind.torch.live import LiveEngine
    from arrowmind.torch.replace import ReplacedLayer, Replacement, replace_linears
    from arrowmind.torch.strategies import Strategy, available, choose, prepare
    from arrowmind.torch.tensors import ModelTensors, encode, tensors

__all__ = [
    "Channel",
    "LiveEngine",
    "ModelTensors",
    "Publisher",
    "QuantizedLinear",
    "ReplacedLayer",
    "Replacement",
    "Snapshot",
    "Strategy",
    "available",
    "choose",
    "encode",
    "prepare",
    "replace_linears",
    "sweep_channels",
    "tensors",
]

_HOMES = {
    "Channel": "channel",
    "LiveEngine": "live",
    "ModelTensors": "tensors",
    "Publisher": "channel",
    "QuantizedLinear": "linear",
    "ReplacedLayer": "replace",
    "Replacement": "replace",
    "Snapshot": "channel",
    "Strategy": "strategies",
    "available": "strategies",
    "choose": "strategies",
    "encode": "tensors",
    "prepare": "strategies",
    "replace_linears": "replace",
    "sweep_channels": "channel",
    "tensors": "tensors",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        home = importlib.import_module(f"{__name__}.{_HOMES[name]}")
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise ConfigurationError(
            f"arrowmind.torch.{name} needs torch, which is not installed; pip install 'arrowmind[torch]'"
        ) from error
    return getattr(home, name)
