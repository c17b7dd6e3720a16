"""Operators of torch over our kernels, for eager mode, torch.compile and torch.export.

::

    arrowmind::qlinear      rows through a quantised linear layer
    arrowmind::dequantize   its matrix in float32, as it meets the rows

Everything a layer needs is an argument: nothing is kept between calls, so an exported program carries its
weights like any other. The kernels read and write the memory of the tensors themselves. What the tensors mean
is one short text, since each argument of an operator costs a microsecond and more.

The gradient goes to the rows and to the bias; rounding of activations is passed straight through, weights are
frozen. It multiplies by the dequantised matrix, made anew in each backward pass.
"""

from __future__ import annotations

import atexit
import ctypes
import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from arrowmind import _native
from arrowmind.errors import InvalidArgumentError
from arrowmind.observe import get_logger
from arrowmind.torch.there import Gpu, TorchGpu, linear_there
from arrowmind.weights.tensor import Tensor
from arrowmind.weights.tensor_spec import TensorSpec

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["Form", "dequantize", "qlinear"]

_log = get_logger("arrowmind.torch")

_MATRIX = (
    "Tensor codes, Tensor? scales, Tensor? zero_points, Tensor? sums, Tensor? outer_scales, "
    "Tensor? input_scale, str form"
)
_library = torch.library.Library("arrowmind", "DEF")
_TAGS = (torch.Tag.pt2_compliant_tag,)
_library.define(f"qlinear(Tensor x, Tensor? bias, {_MATRIX}) -> Tensor", tags=_TAGS)
_library.define(f"dequantize({_MATRIX}) -> Tensor", tags=_TAGS)


class Form(NamedTuple):
    """What the tensors of a layer mean.

    Attributes:
        quant_type: of the codes.
        layout: order of the codes.
        out_features: rows of the matrix.
        in_features: its columns.
        activation: how rows meet it: ``fp32``, ``int16`` or ``int8``.
        group: columns per scale of a grid, 0 for all; -1: on no grid.
        scale_type: of a grid; ``-`` on none.
        paired: whether int8 codes are bounded in pairs.
    """

    quant_type: str
    layout: str
    out_features: int
    in_features: int
    activation: str
    group: int = -1
    scale_type: str = "-"
    paired: bool = False

    @classmethod
    def of(cls, spec: TensorSpec, *, paired: bool = False) -> Form:
        """That of a tensor of a weight file."""
        shape = (spec.shape[0], spec.shape[1])
        kind = (spec.quant_type, spec.layout, *shape, spec.activation)
        return cls(*kind, spec.group_size, spec.scale_type or "-", paired)

    def __str__(self) -> str:
        """As the operators take it, for instance ``int4 n16k8 1536x384 fp32 32 fp16``."""
        shape = f"{self.out_features}x{self.in_features}"
        words = (self.quant_type, self.layout, shape, self.activation, str(self.group), self.scale_type)
        return " ".join((*words, "paired") if self.paired else words)

    def spec(self, *, zero_points: bool) -> TensorSpec:
        """The tensor of a weight file that has this form."""
        coded = self.group >= 0 or self.quant_type == "int8"
        return TensorSpec(
            "weight",
            self.quant_type,
            (self.out_features, self.in_features),
            self.layout,
            0 if coded else -1,
            self.activation,
            self.group,
            self.scale_type.strip("-"),
            "u8" if self.group >= 0 and zero_points else "",
        )

    def described(self) -> dict[str, object]:
        """What the native side is told, but for the tensors."""
        described: dict[str, object] = {
            "type": self.quant_type,
            "shape": (self.out_features, self.in_features),
        }
        return (
            described if self.group < 0 else described | {"group": self.group, "scale_type": self.scale_type}
        )


@cache
def _read(text: str) -> tuple[Form, dict[str, object], str]:
    """A form, what the native side is told of it, and its name for what becomes of the rows."""
    try:
        kind, layout, shape, activation, group, scale_type, *paired = text.split(" ")
        n, k = shape.split("x")
        form = Form(kind, layout, int(n), int(k), activation, int(group), scale_type, paired == ["paired"])
    except ValueError as error:
        raise InvalidArgumentError(f"form {text!r} is none; use str(Form.of(spec))") from error
    rows = "int8-block" if form.group >= 0 and activation == "int8" else activation
    return form, form.described(), rows


@cache
def _threads(count: int) -> _native.ThreadPool | _native.OpenMpTeam:
    """Torch's own threads, which wait actively: beside them, threads of ours would find no processor free."""
    parallel = _gomp_parallel()
    if parallel:
        return _native.OpenMpTeam(parallel, count)
    _log.info(
        "torch computes without OpenMP that can be shared; threads of our own beside its", threads=count
    )
    return _native.ThreadPool(count)


def _gomp_parallel() -> int:
    """Address of the function in the runtime that torch is linked with; 0 where it has none."""
    folder = Path(torch.__file__).parent / "lib"
    for name in ("libtorch_cpu.so", "libtorch_cpu.dylib"):
        try:
            library = ctypes.CDLL(str(folder / name), mode=os.RTLD_NOLOAD | os.RTLD_LAZY)
            return ctypes.cast(library.GOMP_parallel, ctypes.c_void_p).value or 0
        except (OSError, AttributeError):
            continue
    return 0


# Torch keeps operators, and with them this module, until after native objects should be gone.
atexit.register(_threads.cache_clear)


def _array(tensor: Any) -> npt.NDArray[Any] | None:
    """The memory of a tensor; None for none."""
    if tensor is None:
        return None
    array: npt.NDArray[Any] = tensor.detach().numpy() if tensor.requires_grad else tensor.numpy()
    return array


# The tensors of a matrix as the native side names them, in the order of the operators' arguments.
_PARTS = ("codes", "scales", "zero_points", "sums", "outer")


def _qlinear(x: Any, bias: Any, *matrix: Any) -> Any:
    *tensors, input_scale, text = matrix
    form, described, rows = _form_for(x, text)
    arrays = dict(zip(_PARTS, map(_array, tensors), strict=True))
    inputs: Any = _array(x if x.is_contiguous() else x.contiguous())
    out = torch.empty((*x.shape[:-1], form.out_features))
    results = out.numpy()
    if x.ndim != 2:
        inputs, results = inputs.reshape(-1, form.in_features), results.reshape(-1, form.out_features)
    pool = _threads(torch.get_num_threads())
    tensor = {**described, **arrays, "bias": _array(bias)}
    _native.linear_run(tensor, inputs, results, pool, rows, _array(input_scale), form.paired)
    return out


def _qlinear_there(x: Any, bias: Any, *matrix: Any, gpu: Gpu | None = None) -> Any:
    """On tensors of a GPU."""
    *tensors, input_scale, text = matrix
    _, described, rows = _form_for(x, text)
    parts = dict(zip(_PARTS, tensors, strict=True))
    return linear_there(x, bias, parts, input_scale, described, rows, gpu or TorchGpu())


def _dequantize_there(*arguments: Any) -> Any:
    """By way of the CPU: gradients and inspection alone need it."""
    *tensors, text = arguments
    here = [None if one is None else one.cpu() for one in tensors]
    return _dequantize(*here, text).to(tensors[0].device)


def _form_for(x: Any, text: str) -> tuple[Form, dict[str, object], str]:
    """What `_read` gives, of weights that rows `x` can meet."""
    form, described, rows = _read(text)
    if x.dtype is not torch.float32:
        raise InvalidArgumentError(f"an input of type {x.dtype} meets quantised weights; use x.float()")
    if x.ndim < 1 or x.shape[-1] != form.in_features:
        shape = list(x.shape)
        raise InvalidArgumentError(f"an input of shape {shape} meets weights over {form.in_features} columns")
    return form, described, rows


def _dequantize(*arguments: Any) -> Any:
    *tensors, input_scale, text = arguments
    arrays: Any = [_array(tensor) for tensor in tensors]
    spec = _read(text)[0].spec(zero_points=arrays[2] is not None)
    values: npt.NDArray[np.float32] = Tensor(spec, *arrays).to_float32()
    result = torch.from_numpy(values)
    return result if input_scale is None else result * input_scale


def _fake_qlinear(x: Any, *arguments: Any) -> Any:
    form = _read(arguments[-1])[0]
    k = form.in_features
    torch._check(x.dtype == torch.float32, lambda: f"input of type {x.dtype}; use x.float()")
    torch._check(x.ndim >= 1 and x.shape[-1] == k, lambda: f"input {x.shape} meets {k} columns")
    return x.new_empty((*x.shape[:-1], form.out_features))


def _fake_dequantize(codes: Any, *arguments: Any) -> Any:
    form = _read(arguments[-1])[0]
    return codes.new_empty((form.out_features, form.in_features), dtype=torch.float32)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:  # noqa: ARG001  (called by name)
    ctx.save_for_backward(*inputs[2:8])
    ctx.form = inputs[8]


def _backward(ctx: Any, gradient: Any) -> tuple[Any, ...]:
    for_x = for_bias = None
    if ctx.needs_input_grad[0]:
        for_x = gradient @ dequantize(*ctx.saved_tensors, ctx.form)
    if ctx.needs_input_grad[1]:
        for_bias = gradient.reshape(-1, gradient.shape[-1]).sum(0)
    return for_x, for_bias, *[None] * 7


_library.impl("qlinear", _qlinear, "CPU")
_library.impl("dequantize", _dequantize, "CPU")
_library.impl("qlinear", _qlinear_there, "CUDA")  # and ROCm, which torch names so
_library.impl("dequantize", _dequantize_there, "CUDA")
torch.library.register_fake("arrowmind::qlinear", _fake_qlinear, lib=_library)
torch.library.register_fake("arrowmind::dequantize", _fake_dequantize, lib=_library)
torch.library.register_autograd("arrowmind::qlinear", _backward, setup_context=_keep, lib=_library)

qlinear: Any = torch.ops.arrowmind.qlinear.default
"""x float32 [..., in_features], bias, the tensors of a matrix, their form -> float32 [..., out_features].

The tensors are those of a packed :class:`arrowmind.weights.Tensor`: codes, scales, zero_points, sums,
outer_scales; and input_scale, float32 [in_features], what rows are multiplied by. The form is that of
:class:`Form` as a string.
"""

dequantize: Any = torch.ops.arrowmind.dequantize.default
"""The tensors of a matrix, their form -> the matrix as it meets unscaled rows, float32 [out, in]."""
