"""A model folder: weights, configuration and tokenizer, checked against each other."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from arrowmind.errors import WeightError
from arrowmind.models.registry import build_model
from arrowmind.models.spec import ModelSpec, Pooling
from arrowmind.weights import WeightSource, open_weights
from arrowmind.weights.configuration import KEY, read_configuration

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["ModelFolder"]


class ModelFolder:
    """The files of `models/<name>/`. Opening reads configuration and headers, not the weights."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_dir():
            raise WeightError(f"{path} is not a folder; give a model folder made by `arrowmind convert`")
        self.config = read_configuration(path)
        self.weights: WeightSource = open_weights(path)
        self.model: ModelSpec = build_model(self.config, self.weights.names(), self._pooling())
        self.tokenizer_path = path / "tokenizer.json"

    @property
    def max_tokens(self) -> int:
        """Longest input: what the model was trained on, never more than it has positions."""
        value = self._own().get("max_tokens", self.model.max_tokens)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise WeightError(
                f"{self.path / 'config.json'}: arrowmind.max_tokens is {value!r}; use a whole number >= 1"
            )
        return min(value, self.model.max_tokens)

    @property
    def fingerprint(self) -> str:
        """Hex digest over what decides an embedding: tensors by checksum, configuration, tokenizer."""
        import hashlib  # noqa: PLC0415  loads OpenSSL, which encoding does without

        digest = hashlib.sha256()
        digest.update(self.weights.fingerprint.encode())
        digest.update(json.dumps(self.config, sort_keys=True).encode())
        digest.update(self.tokenizer_path.read_bytes())
        return digest.hexdigest()[:32]

    def describe(self) -> dict[str, Any]:
        """Facts for `info()`."""
        return {
            "path": str(self.path),
            "family": self.model.family,
            "dimension": self.model.hidden,
            "layers": len(self.model.blocks),
            "max_tokens": self.max_tokens,
            "pooling": self.model.pooling.kind,
            "fingerprint": self.fingerprint,
            "weights": self.weights.describe(),
        }

    def _own(self) -> dict[str, Any]:
        value = self.config.get(KEY, {})
        if not isinstance(value, dict):
            raise WeightError(f"{self.path / 'config.json'}: arrowmind is {value!r}; an object is needed")
        return value

    def _pooling(self) -> Pooling:
        kind = self._own().get("pooling", "mean")
        if kind not in ("mean", "cls"):
            raise WeightError(
                f"{self.path / 'config.json'}: arrowmind.pooling is {kind!r}; use 'mean' or 'cls'"
            )
        return Pooling(kind)
