"""QuantizedLinear: a linear layer over quantised weights, as a module."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from arrowmind import _native
from arrowmind.errors import InvalidArgumentError, WeightError
from arrowmind.torch.ops import Form, dequantize, qlinear
from arrowmind.torch.rounding import round_matrix
from arrowmind.weights.tensor import BUFFERS, Tensor

if TYPE_CHECKING:
    import numpy.typing as npt

    from arrowmind.quantize.config import QuantizationConfig
    from arrowmind.weights.formats import Grid

__all__ = ["QuantizedLinear"]

_FLOATS = (torch.float32, torch.float16, torch.bfloat16)
_NAMES = (*BUFFERS, "input_scale")
_PLACES = ("cpu", "cuda")  # of ROCm, too


class QuantizedLinear(torch.nn.Module):
    """y = x W^T + b over our kernels; W is frozen, gradients reach x and b.

    Weights meet activations in float32 or rounded to 8 or 16 bits per token, as the layer was made. Inputs
    are float32; float16 and bfloat16 are converted, and so is the result.

    ``state_dict`` holds the packed buffers, the bias, and what they mean; it can be loaded into a layer of
    the same form, and into no other.

    Example::

        small = QuantizedLinear.from_linear(linear, QuantizationConfig(quant_type="int4"))
    """

    def __init__(self, tensor: Tensor, bias: Any = None, input_scale: Any = None) -> None:
        """Wraps a matrix as it is in a weight file.

        Args:
            tensor: a matrix in the layout that kernels read. Its arrays are used in place where they can be
                written to, and else copied: torch has no tensors that are read-only.
            bias: float32 [out_features] or None.
            input_scale: float32 [in_features], multiplies the input; None for nothing.

        Raises:
            WeightError: the tensor is no packed matrix, or bias and input scale do not fit.
        """
        super().__init__()
        spec = tensor.spec
        spec.check()
        if len(spec.shape) != 2 or spec.layout == "row":
            raise WeightError(
                f"tensor {spec.name!r} of shape {list(spec.shape)} in layout {spec.layout} is no packed "
                "matrix; use Tensor.for_kernels() of a matrix"
            )
        self.spec = spec
        self.out_features, self.in_features = spec.shape
        for name in BUFFERS:
            self.register_buffer(name, _owned(getattr(tensor, name)))
        self.register_buffer("input_scale", _vector(input_scale, self.in_features, "input_scale"))
        bias = _vector(bias, self.out_features, "bias")
        kept = None if bias is None else torch.nn.Parameter(bias, requires_grad=False)
        self.register_parameter("bias", kept)
        self._take_form()
        self.register_load_state_dict_pre_hook(_before_loading)
        self.register_load_state_dict_post_hook(_after_loading)

    @classmethod
    def from_linear(
        cls,
        linear: Any,
        config: QuantizationConfig | Grid | None = None,
        *,
        activation: str | None = None,
        hessian: npt.NDArray[np.float64] | None = None,
    ) -> QuantizedLinear:
        """Quantises a ``torch.nn.Linear``, which stays as it is.

        Args:
            linear: the layer; its weights may be of any floating type.
            config: choices, or the grid itself; None is int8 with a scale per row.
            activation: how inputs meet the matrix: ``fp32``, ``int8``, or ``int16`` for int8 with a scale per
                row; None takes what the choices say, for a grid ``fp32``.
            hessian: float64 [in, in], mean of x x^T over inputs; error feedback (GPTQ) is used with it where
                the choices say ``gptq``.

        Raises:
            InvalidArgumentError: no linear layer, or one without values, or with NaN.
        """
        weight = getattr(linear, "weight", None)
        if not isinstance(weight, torch.Tensor) or weight.ndim != 2:
            raise InvalidArgumentError(f"{type(linear).__name__} has no matrix; give a torch.nn.Linear")
        if weight.device.type != "cpu":
            raise InvalidArgumentError(f"weights on {weight.device}; move the layer with .cpu()")
        matrix = weight.detach().to(torch.float32).contiguous().numpy()
        if not np.isfinite(matrix).all():
            raise InvalidArgumentError(f"weights {list(matrix.shape)} hold NaN or infinity")
        tensor = round_matrix(matrix, config, activation=activation, hessian=hessian)
        bias = getattr(linear, "bias", None)
        made = cls(tensor, None if bias is None else bias.detach().to(torch.float32).clone())
        if bias is not None:
            made.get_parameter("bias").requires_grad_(bias.requires_grad)
        made.train(linear.training)
        return made

    @property
    def activation(self) -> str:
        """How inputs meet the matrix: ``fp32``, ``int16`` or ``int8``."""
        return self.spec.activation

    @property
    def weight_bytes(self) -> int:
        """Bytes of the matrix: codes, scales and all."""
        return sum(buffer.nbytes for buffer in self.buffers())

    def forward(self, x: Any) -> Any:
        """Multiplies.

        Args:
            x: float32, float16 or bfloat16 [..., in_features], where the layer is: on the CPU, or on a GPU of
                CUDA or ROCm, where it runs in torch's current stream.

        Returns:
            [..., out_features] of the same type.

        Raises:
            InvalidArgumentError: type, shape or device do not fit.
        """
        self._check(x)
        # Attributes of modules are found by search, a microsecond each.
        matrix = self._buffers
        made = qlinear(
            x if x.dtype is torch.float32 else x.float(),
            self._parameters["bias"],
            matrix["codes"],
            matrix["scales"],
            matrix["zero_points"],
            matrix["sums"],
            matrix["outer_scales"],
            matrix["input_scale"],
            self._form,
        )
        return made if x.dtype is torch.float32 else made.to(x.dtype)

    def dequantize(self) -> Any:
        """The matrix as it meets inputs, float32 [out_features, in_features]; a new tensor."""
        return dequantize(*(getattr(self, name) for name in _NAMES), self._form)

    def tensor(self, name: str) -> Tensor:
        """The matrix for a weight file, under the name ``name``; its arrays are those of the buffers."""
        arrays: Any = [_numpy(getattr(self, buffer)) for buffer in BUFFERS]
        return Tensor(replace(self.spec, name=name), *arrays)

    def extra_repr(self) -> str:
        """What ``print(module)`` shows."""
        spec = self.spec
        grid = "" if spec.grid is None else f", group={spec.group_size}, scales={spec.scale_type}"
        zeros = ", zero_points" if self.zero_points is not None else ""
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"{spec.quant_type}{grid}{zeros}, activation={spec.activation}, bias={self.bias is not None}"
        )

    def get_extra_state(self) -> Any:
        """What the buffers mean, as JSON in a uint8 tensor: files of tensors alone can hold it."""
        text = json.dumps({**asdict(self.spec), "name": ""}, sort_keys=True)
        return torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8)

    def set_extra_state(self, state: Any) -> None:
        """Refuses a state of another form.

        Raises:
            WeightError: naming both.
        """
        found = bytes(torch.as_tensor(state).tolist()).decode("utf-8", "replace")
        wanted = bytes(self.get_extra_state().tolist()).decode()
        if found != wanted:
            raise WeightError(f"a state of form {found} does not go into a layer of form {wanted}")

    def _check(self, x: Any) -> None:
        if x.dtype not in _FLOATS:
            raise InvalidArgumentError(f"an input of type {x.dtype}; use float32, float16 or bfloat16")
        if x.ndim < 1 or x.shape[-1] != self.in_features:
            raise InvalidArgumentError(
                f"an input of shape {list(x.shape)} meets a layer of {self.in_features} inputs"
            )
        if x.device.type not in _PLACES or self._buffers["codes"].device != x.device:
            raise InvalidArgumentError(
                f"an input on {x.device} meets weights on {self.codes.device}; both must be on the CPU, or "
                "on one GPU of CUDA or ROCm"
            )

    def _take_form(self) -> None:
        spec = self.spec
        paired = False
        if spec.quant_type == "int8" and spec.activation == "int8" and spec.grid is None:
            names = ("codes", "scales", "zero_points", "sums")
            arrays = {name: _numpy(getattr(self, name)) for name in names}
            described: dict[str, object] = {"type": "int8", "shape": spec.shape, "bias": None, **arrays}
            paired = _native.linear_is_paired(described)
        self._form = str(Form.of(spec, paired=paired))


def _before_loading(module: QuantizedLinear, state: dict[str, Any], prefix: str, *_rest: Any) -> None:
    # Before any buffer is overwritten; loading itself compares it last.
    if f"{prefix}_extra_state" in state:
        module.set_extra_state(state[f"{prefix}_extra_state"])


def _after_loading(module: QuantizedLinear, _incompatible: Any) -> None:
    # Kernels that need bounded pairs must not meet codes that were loaded over bounded ones.
    module._take_form()


def _owned(array: npt.NDArray[Any] | None) -> Any:
    if array is None:
        return None
    return torch.from_numpy(np.ascontiguousarray(array) if array.flags.writeable else array.copy())


def _vector(values: Any, size: int, what: str) -> Any:
    if values is None:
        return None
    if isinstance(values, np.ndarray):
        values = _owned(values)
    if values.dtype != torch.float32 or tuple(values.shape) != (size,) or values.device.type != "cpu":
        raise WeightError(
            f"{what} is {values.dtype} {list(values.shape)} on {values.device}; "
            f"float32 [{size}] on the CPU is needed"
        )
    return values.contiguous()


def _numpy(tensor: Any) -> npt.NDArray[Any] | None:
    return None if tensor is None else tensor.cpu().numpy()
