"""The linear layers of a model become quantised ones."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from arrowmind.errors import InvalidArgumentError
from arrowmind.observe import get_logger
from arrowmind.quantize.config import QuantizationConfig, matches
from arrowmind.torch.linear import QuantizedLinear
from arrowmind.torch.rounding import check_choices

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    from arrowmind.weights.formats import Grid

__all__ = ["ReplacedLayer", "Replacement", "replace_linears"]

_log = get_logger("arrowmind.torch")


@dataclass(frozen=True)
class ReplacedLayer:
    """One layer that was replaced.

    Attributes:
        name: in the model.
        shape: [out_features, in_features].
        bytes_before: of its matrix.
        bytes_after: of its codes, scales and all.
        error: norm of what the matrix lost, relative to its own.
    """

    name: str
    shape: tuple[int, int]
    bytes_before: int
    bytes_after: int
    error: float


@dataclass(frozen=True)
class Replacement:
    """What :func:`replace_linears` did.

    Attributes:
        layers: those that were replaced.
        skipped: by name, why a linear layer stayed.
    """

    layers: tuple[ReplacedLayer, ...]
    skipped: dict[str, str]

    @property
    def bytes_saved(self) -> int:
        """By all layers together."""
        return sum(layer.bytes_before - layer.bytes_after for layer in self.layers)

    def __str__(self) -> str:
        before = sum(layer.bytes_before for layer in self.layers)
        return (
            f"{len(self.layers)} linear layers replaced, {len(self.skipped)} skipped; "
            f"{before} bytes became {before - self.bytes_saved}"
        )


def replace_linears(
    model: Any,
    config: QuantizationConfig | Grid | None = None,
    *,
    skip: Sequence[str] = (),
    activation: str | None = None,
    calibration: Iterable[Any] | None = None,
) -> Replacement:
    """Puts a :class:`QuantizedLinear` in the place of each ``torch.nn.Linear`` of a model.

    All layers are quantised before the first is replaced: after an error the model is what it was. Layers
    whose matrix another module uses, too, stay: replacing them would save nothing.

    Args:
        model: any module on the CPU; changed in place.
        config: choices, or the grid itself; None is int8 with a scale per row.
        skip: names or globs of layers that stay; those of ``config.keep`` do, too.
        activation: how inputs meet the matrices; None takes what the choices say.
        calibration: inputs of the model, each a tensor, a tuple of arguments or a dict of keywords. The model
            is run on them once, and what enters its layers decides what rounding may cost: with ``gptq`` by
            error feedback, with ``ptq`` as weights of the columns.

    Returns:
        What was replaced, and the bytes saved.

    Raises:
        InvalidArgumentError: a layer cannot be quantised, or the choices are for whole models.
    """
    check_choices(config, calibrated=calibration is not None)
    if isinstance(skip, str):
        raise InvalidArgumentError(f"skip {skip!r} is one string; give a sequence of names or globs")
    if isinstance(model, torch.nn.Linear):
        raise InvalidArgumentError("the model is a linear layer itself; use QuantizedLinear.from_linear")
    keep = config.keep if isinstance(config, QuantizationConfig) else ()
    found, skipped = _find(model, (*skip, *keep))
    moments = {} if calibration is None else _moments(model, found, calibration)
    made = [
        QuantizedLinear.from_linear(layer, config, activation=activation, hessian=moments.get(layer))
        for layer in found
    ]
    layers = tuple(
        _compare(names[0], old, new) for (old, names), new in zip(found.items(), made, strict=True)
    )
    for names, new in zip(found.values(), made, strict=True):
        for name in names:
            model.set_submodule(name, new)
    replacement = Replacement(layers, skipped)
    _log.info("linear layers replaced", layers=len(layers), bytes_saved=replacement.bytes_saved)
    return replacement


def _find(model: Any, skip: tuple[str, ...]) -> tuple[dict[Any, list[str]], dict[str, str]]:
    """The layers to replace with all their names, and why others stay."""
    users = Counter(id(parameter) for module in model.modules() for parameter in _own(module))
    found: dict[Any, list[str]] = {}
    skipped = {}
    for name, module in model.named_modules(remove_duplicate=False):
        if not isinstance(module, torch.nn.Linear):
            continue
        if matches(f"{name}.weight", skip):
            skipped[name] = "asked for"
        elif type(module) is not torch.nn.Linear:
            skipped[name] = f"is a {type(module).__name__}, whose owner may use its matrix directly"
        elif users[id(module.weight)] > 1:
            skipped[name] = "another module uses its matrix"
        else:
            found.setdefault(module, []).append(name)
    return found, skipped


def _own(module: Any) -> Iterator[Any]:
    return iter([parameter for parameter in module._parameters.values() if parameter is not None])


def _compare(name: str, old: Any, new: QuantizedLinear) -> ReplacedLayer:
    weight = old.weight.detach()
    wanted = weight.to(torch.float32)
    norm = float(wanted.norm())
    error = float((new.dequantize() - wanted).norm()) / norm if norm else 0.0
    return ReplacedLayer(name, tuple(weight.shape), weight.nbytes, new.weight_bytes, error)


class _Moments:
    """Mean of x x^T over the rows that enter a layer."""

    def __init__(self, columns: int) -> None:
        self._sum = torch.zeros(columns, columns, dtype=torch.float64)
        self._rows = 0

    def see(self, _layer: Any, arguments: tuple[Any, ...]) -> None:
        rows = arguments[0].detach().reshape(-1, len(self._sum)).to(torch.float32)
        self._sum += rows.T @ rows
        self._rows += len(rows)

    def mean(self) -> npt.NDArray[np.float64] | None:
        if not self._rows:
            return None
        found: npt.NDArray[np.float64] = (self._sum / self._rows).numpy()
        return found


def _moments(
    model: Any, layers: Mapping[Any, list[str]], calibration: Iterable[Any]
) -> dict[Any, npt.NDArray[np.float64]]:
    """What enters each layer while the model runs on `calibration`; none for layers that nothing enters."""
    seen = {layer: _Moments(layer.in_features) for layer in layers}
    hooks = [layer.register_forward_pre_hook(seen[layer].see) for layer in layers]
    training = model.training
    try:
        model.eval()
        with torch.no_grad():
            for inputs in calibration:
                _run(model, inputs)
    finally:
        model.train(training)
        for hook in hooks:
            hook.remove()
    means = {layer: moments.mean() for layer, moments in seen.items()}
    unseen = [layers[layer][0] for layer, mean in means.items() if mean is None]
    if unseen:
        _log.warning("nothing entered some layers during calibration; rounded by themselves", layers=unseen)
    return {layer: mean for layer, mean in means.items() if mean is not None}


def _run(model: Any, inputs: Any) -> None:
    if isinstance(inputs, dict) or hasattr(inputs, "keys"):
        model(**inputs)
    elif isinstance(inputs, tuple | list):
        model(*inputs)
    else:
        model(inputs)
