"""The bridge to PyTorch. `import arrowmind` does not come here; torch is loaded by the names that need it.

::

    ops            torch.ops.arrowmind.qlinear and .dequantize: our kernels over the memory of tensors
    linear         QuantizedLinear, a module over them
    rounding       the matrix of one layer onto its grid, with or without what entered it
    replace        replace_linears: a model's linear layers become quantised ones
    private        weight files mapped so that writes stay in this process
    model_tensors  tensors of a model folder over such a mapping; embeddings as tensors
    strategies     ways to run a model on the CPU, one file each
    channel        weights and activations handed over between processes in shared memory
    live           an engine that follows a channel

The last two, and `private`, work without torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from arrowmind.errors import ConfigurationError

if TYPE_CHECKING:
    from arrowmind.torch.channel import Channel, Publisher, Snapshot, sweep_channels
    from arrowmind.torch.linear import QuantizedLinear
    from arrowmind.torch.live import LiveEngine
    from arrowmind.torch.model_tensors import ModelTensors, encode, tensors
    from arrowmind.torch.replace import ReplacedLayer, Replacement, replace_linears
    from arrowmind.torch.strategies import Strategy, available, choose, prepare

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
    "ModelTensors": "model_tensors",
    "Publisher": "channel",
    "QuantizedLinear": "linear",
    "ReplacedLayer": "replace",
    "Replacement": "replace",
    "Snapshot": "channel",
    "Strategy": "strategies",
    "available": "strategies",
    "choose": "strategies",
    "encode": "model_tensors",
    "prepare": "strategies",
    "replace_linears": "replace",
    "sweep_channels": "channel",
    "tensors": "model_tensors",
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
