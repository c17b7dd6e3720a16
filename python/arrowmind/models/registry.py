"""Finds the file of a model family: every module of this folder that names `FAMILIES` and `build`."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING, Any, Protocol, cast

import arrowmind.models
from arrowmind.errors import WeightError
from arrowmind.models.settings import ModelConfig

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from arrowmind.models.decoder_spec import DecoderSpec
    from arrowmind.models.spec import ModelSpec, Pooling
    from arrowmind.models.tower_spec import SenseSpec

__all__ = ["build_model", "families"]


class _Family(Protocol):
    FAMILIES: tuple[str, ...]

    def build(
        self, config: ModelConfig, names: Collection[str], pooling: Pooling
    ) -> ModelSpec | DecoderSpec | SenseSpec: ...


def families() -> dict[str, _Family]:
    """Family modules by the `model_type` they serve."""
    return {name: module for module in map(_module, _names()) for name in getattr(module, "FAMILIES", ())}


def _names() -> list[str]:
    return [info.name for info in pkgutil.iter_modules(arrowmind.models.__path__)]


def _module(name: str) -> _Family:
    return cast("_Family", importlib.import_module(f"arrowmind.models.{name}"))


def _find(family: str) -> _Family | None:
    """The module of a family; those whose names it begins with are looked at first, others if need be."""
    for name in sorted(_names(), key=lambda name: not family.startswith(name)):
        module = _module(name)
        if family in getattr(module, "FAMILIES", ()):
            return module
    return None


def build_model(
    values: Mapping[str, Any], names: Collection[str], pooling: Pooling
) -> ModelSpec | DecoderSpec | SenseSpec:
    """The model that a config.json describes.

    Args:
        values: The parsed config.json.
        names: Names of the tensors in the weight file.
        pooling: How token vectors of an encoder become one vector.

    Returns:
        An encoder, a decoder, or a model of several senses.

    Raises:
        WeightError: The family is unknown, or the configuration does not fit.
    """
    config = ModelConfig(values)
    family = config.text("model_type")
    module = _find(family)
    if module is None:
        raise WeightError(
            f"config.json: model_type {family!r} is not supported; known families: "
            f"{', '.join(sorted(families()))}. Models of others can be converted and exported, not run"
        )
    return module.build(config, names, pooling)
