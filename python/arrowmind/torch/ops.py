"""Operators of torch over our kernels, for eager mode, torch.compile and torch.export.

::

    arrowmind::qlinear      rows through a quantised linear layer
    arrowmind::dequantize   its matrix in float32, as it meets the rows

Everything a layer needs is an argument: nothing is kept between calls, so an exported program carries its
weights like any other. The kernels read and write the memory of the tensors themselves.

The gradient goes to the rows and to the bias; rounding of activations is passed straight through, weights are
frozen. It multiplies by the dequantised matrix, made anew in each backward pass.
"""

from __future__ import annotations

import atexit
from dataclasses import dataclass, fields
from functools import cache
from typing import TYPE_CHECKING, Any

import torch

from arrowmind import _native
from arrowmind.errors import InvalidArgumentError
from arrowmind.weights.tensor import Tensor, TensorSpec

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["Buffers", "dequantize", "qlinear"]

_FORM = (
    "Tensor codes, Tensor? scales, Tensor? zero_points, Tensor? sums, Tensor? outer_scales, "
    "Tensor? input_scale"
)
_SPEC = "str quant_type, int out_features, int in_features, int group_size, str scale_type"
_library = torch.library.Library("arrowmind", "DEF")
_library.define(
    f"qlinear(Tensor x, Tensor? bias, {_FORM}, {_SPEC}, str activation, bool paired) -> Tensor",
    tags=(torch.Tag.pt2_compliant_tag,),
)
_library.define(f"dequantize({_FORM}, {_SPEC}) -> Tensor", tags=(torch.Tag.pt2_compliant_tag,))


@dataclass(frozen=True)
class Buffers:
    """The tensors of a quantised matrix.

    Attributes:
        codes: uint8, packed.
        scales: float32, or the bytes of scales on a grid; None for floats.
        zero_points: like scales; None for none.
        sums: int32, of int8 with a scale per row.
        outer_scales: float32, of scale types that have them.
        input_scale: float32 [in_features], multiplies the rows; None for nothing.
    """

    codes: Any
    scales: Any = None
    zero_points: Any = None
    sums: Any = None
    outer_scales: Any = None
    input_scale: Any = None

    def arguments(self) -> tuple[Any, ...]:
        """In the order in which the operators take them."""
        return tuple(getattr(self, field.name) for field in fields(self))


@cache
def _threads(count: int) -> _native.ThreadPool:
    return _native.ThreadPool(count)


# Torch keeps operators, and with them this module, until after native objects should be gone.
atexit.register(_threads.cache_clear)


def _array(tensor: Any) -> npt.NDArray[Any] | None:
    """The memory of a tensor; None for none."""
    return None if tensor is None else tensor.detach().numpy()


def _qlinear(x: Any, bias: Any, *form: Any) -> Any:
    buffers, (kind, n, k, group, scale_type, activation, paired) = Buffers(*form[:6]), form[6:]
    _check_input(x, k)
    described: dict[str, object] = {
        "type": kind,
        "shape": (n, k),
        "codes": _array(buffers.codes),
        "scales": _array(buffers.scales),
        "zero_points": _array(buffers.zero_points),
        "sums": _array(buffers.sums),
        "bias": _array(bias),
    }
    if group >= 0:
        described |= {"group": group, "scale_type": scale_type, "outer": _array(buffers.outer_scales)}
    out = torch.empty((*x.shape[:-1], n), dtype=torch.float32)
    _native.linear_run(
        described,
        x.detach().reshape(-1, k).contiguous().numpy(),
        out.view(-1, n).numpy(),
        _threads(torch.get_num_threads()),
        "int8-block" if group >= 0 and activation == "int8" else activation,
        _array(buffers.input_scale),
        paired,
    )
    return out


def _check_input(x: Any, k: int) -> None:
    if x.dtype != torch.float32:
        raise InvalidArgumentError(f"an input of type {x.dtype} meets quantised weights; use x.float()")
    if x.ndim < 1 or x.shape[-1] != k:
        raise InvalidArgumentError(f"an input of shape {list(x.shape)} meets weights over {k} columns")


def _dequantize(*form: Any) -> Any:
    buffers, (kind, n, k, group, scale_type) = Buffers(*form[:6]), form[6:]
    spec = TensorSpec(
        "weight",
        kind,
        (n, k),
        _LAYOUTS[kind, group >= 0],
        0 if group >= 0 or kind == "int8" else -1,
        group_size=group,
        scale_type=scale_type,
        zero_type="u8" if group >= 0 and buffers.zero_points is not None else "",
    )
    arrays: Any = [_array(tensor) for tensor in buffers.arguments()[:-1]]
    values: npt.NDArray[np.float32] = Tensor(spec, *arrays).to_float32()
    result = torch.from_numpy(values)
    return result if buffers.input_scale is None else result * buffers.input_scale


# Layout of a matrix by its type, and whether it lies on a grid.
_LAYOUTS = {
    ("fp32", False): "n16",
    ("fp16", False): "n16",
    ("int8", False): "n16k4",
    ("int8", True): "n16k4",
    ("int4", True): "n16k8",
    ("int2", True): "n16k16",
    ("fp4", True): "n16k8",
}


def _fake_qlinear(x: Any, _bias: Any, *form: Any) -> Any:
    n, k = form[7], form[8]
    torch._check(x.dtype == torch.float32, lambda: f"input of type {x.dtype}; use x.float()")
    torch._check(x.ndim >= 1 and x.shape[-1] == k, lambda: f"input {x.shape} meets {k} columns")
    return x.new_empty((*x.shape[:-1], n))


def _fake_dequantize(codes: Any, *form: Any) -> Any:
    return codes.new_empty((form[6], form[7]), dtype=torch.float32)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:  # noqa: ARG001  (called by name)
    ctx.save_for_backward(*inputs[2:8])
    ctx.spec = inputs[8:13]
    ctx.arguments = len(inputs)


def _backward(ctx: Any, gradient: Any) -> tuple[Any, ...]:
    for_x = for_bias = None
    if ctx.needs_input_grad[0]:
        for_x = gradient @ dequantize(*ctx.saved_tensors, *ctx.spec)
    if ctx.needs_input_grad[1]:
        for_bias = gradient.reshape(-1, gradient.shape[-1]).sum(0)
    return for_x, for_bias, *[None] * (ctx.arguments - 2)


_library.impl("qlinear", _qlinear, "CPU")
_library.impl("dequantize", _dequantize, "CPU")
torch.library.register_fake("arrowmind::qlinear", _fake_qlinear, lib=_library)
torch.library.register_fake("arrowmind::dequantize", _fake_dequantize, lib=_library)
torch.library.register_autograd("arrowmind::qlinear", _backward, setup_context=_keep, lib=_library)

qlinear: Any = torch.ops.arrowmind.qlinear.default
"""x float32 [..., in_features] -> float32 [..., out_features]; see :class:`Buffers` for the rest."""

dequantize: Any = torch.ops.arrowmind.dequantize.default
"""The matrix as it meets unscaled rows, float32 [out_features, in_features]."""
