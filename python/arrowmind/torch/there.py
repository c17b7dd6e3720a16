"""The operators on tensors of a GPU: our kernels in torch's current stream, over its own memory."""

from __future__ import annotations

import atexit
import ctypes
import threading
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from arrowmind import _native
from arrowmind.engine.device_probe import open_device, probe
from arrowmind.errors import DeviceUnsupportedError, InvalidArgumentError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    import numpy.typing as npt

__all__ = ["Gpu", "TorchGpu", "linear_there"]

# Kernels read words of 16 bytes; a view of a tensor may begin at any number.
_ALIGNMENT = 16


class Gpu(Protocol):
    """What is asked of torch about its GPUs."""

    kind: str
    """`cuda` or `rocm`."""

    def index(self, tensor: Any) -> int:
        """Number of the device that a tensor is on."""

    def stream(self, index: int) -> int:
        """Handle of the stream that torch's work on a device goes to now, as the driver has it."""

    def guard(self, index: int) -> AbstractContextManager[Any]:
        """Within it another device may become the current one of this thread; it is put back."""


class TorchGpu:
    """That of torch itself."""

    kind = "cuda" if torch.version.hip is None else "rocm"

    def index(self, tensor: Any) -> int:  # noqa: D102  as of Gpu
        return int(tensor.get_device())

    def stream(self, index: int) -> int:  # noqa: D102  as of Gpu
        return int(torch.cuda.current_stream(index).cuda_stream)

    def guard(self, index: int) -> AbstractContextManager[Any]:  # noqa: D102  as of Gpu
        within: AbstractContextManager[Any] = torch.cuda.device(index)
        return within


_lock = threading.Lock()
_devices: dict[str, _native.Device] = {}
# Torch keeps operators, and with them this module, until after native objects should be gone.
atexit.register(_devices.clear)


def linear_there(
    x: Any,
    bias: Any,
    tensors: dict[str, Any],
    input_scale: Any,
    described: dict[str, object],
    activation: str,
    gpu: Gpu,
) -> Any:
    """Rows through a linear layer on their GPU; submitted when it returns.

    All of it is allocated and used in torch's current stream, so torch's allocator keeps the order. Nothing
    is done again on the CPU: a failure is the caller's, as that of any operator of torch.

    Args:
        x: float32 [..., k].
        bias: float32 [n] or None.
        tensors: those of the matrix, by name; None for none.
        input_scale: float32 [k] or None, what rows are multiplied by.
        described: the matrix, as native functions are told.
        activation: how rows meet it, as native functions name it.
        gpu: torch's, or what stands for it.

    Raises:
        InvalidArgumentError: The tensors are on several devices.
        DeviceUnsupportedError: There is no back end for the device.
        DeviceError: It failed.
    """
    index = _common_place(gpu, x, (bias, input_scale, *tensors.values()))
    device = _device(f"{gpu.kind}:{index}")
    if activation == "fp32" and input_scale is not None:
        x, input_scale = x * input_scale, None  # the CPU's product too is one of float32
    rows = _aligned(x.reshape(-1, x.shape[-1]))
    count = rows.shape[0]
    scratch_bytes = max(_ALIGNMENT, _native.linear_scratch_bytes(described, activation, count))
    scratch = torch.empty(scratch_bytes, dtype=torch.uint8, device=x.device)
    kept = {name: None if one is None else _aligned(one) for name, one in {**tensors, "bias": bias}.items()}
    scale = None if input_scale is None else _aligned(input_scale)
    matrix: dict[str, object] = {**described, **{name: _unread(one) for name, one in kept.items()}}
    out = torch.empty((*x.shape[:-1], _outputs(described)), device=x.device)
    with gpu.guard(index):
        _native.linear_there(
            device,
            matrix,
            gpu.stream(index),
            rows.data_ptr(),
            count,
            out.data_ptr(),
            scratch.data_ptr(),
            activation,
            0 if scale is None else scale.data_ptr(),
        )
    return out


def _common_place(gpu: Gpu, x: Any, parts: tuple[Any, ...]) -> int:
    """Number of the device that all of them are on; those that are None are anywhere."""
    given = [one for one in parts if one is not None]
    places = {gpu.index(one) for one in (x, *given)}
    if len(places) > 1 or any(one.device.type != x.device.type for one in given):
        raise InvalidArgumentError(
            f"an input on {x.device} meets weights on {sorted({str(one.device) for one in given})}; move the "
            "layer, model.to(x.device), or the input"
        )
    return places.pop()


def _device(name: str) -> _native.Device:
    """Opened once; anew when it was lost.

    Raises:
        DeviceUnsupportedError: No back end serves it; the message says why.
    """
    with _lock:
        found = _devices.get(name)
        if found is None or found.is_lost:
            why = probe(name.partition(":")[0])
            if not why.devices:
                raise DeviceUnsupportedError(
                    f"tensors on {name} need ArrowMind's back end for it: {why.reason} ({why.words}); "
                    f"{why.remedy}, or move layer and input to the CPU"
                )
            found = _devices[name] = open_device(name)
        return found


def _outputs(described: dict[str, object]) -> int:
    shape: Any = described["shape"]
    return int(shape[0])


def _aligned(tensor: Any) -> Any:
    """Contiguous, beginning where kernels can read it."""
    whole = tensor.detach().contiguous()
    return whole if whole.data_ptr() % _ALIGNMENT == 0 else whole.clone()


# Types of the arrays that native functions are told of.
_TYPES = {torch.float32: ctypes.c_float, torch.int32: ctypes.c_int32, torch.uint8: ctypes.c_uint8}


def _unread(tensor: Any) -> npt.NDArray[Any] | None:
    """An array for its address and size alone: the address is the device's, and must never be read here."""
    if tensor is None:
        return None
    kind = _TYPES.get(tensor.dtype)
    if kind is None:
        raise InvalidArgumentError(f"a matrix with values of type {tensor.dtype} is none of ArrowMind's")
    values = (kind * tensor.numel()).from_address(tensor.data_ptr())
    array: npt.NDArray[Any] = np.ctypeslib.as_array(values)
    return array
