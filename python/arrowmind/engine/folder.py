"""A model folder: weights, configuration and tokenizer, checked against each other."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from arrowmind.errors import InvalidArgumentError, WeightError
from arrowmind.models.registry import build_model
from arrowmind.models.spec import ModelSpec, Pooling
from arrowmind.models.tower_spec import SenseSpec
from arrowmind.weights import WeightSource, open_weights
from arrowmind.weights.configuration import KEY, read_configuration

if TYPE_CHECKING:
    from pathlib import Path

    from arrowmind import _native
    from arrowmind.models.decoder_spec import DecoderSpec

__all__ = ["ModelFolder"]


class ModelFolder:
    """The files of `models/<name>/`. Opening reads configuration and headers, not the weights."""

    def __init__(
        self, path: Path, verify: str = "first_touch", early: _native.EarlyWeights | None = None
    ) -> None:
        self.path = path
        if not path.is_dir():
            raise WeightError(f"{path} is not a folder; give a model folder made by `arrowmind convert`")
        self.config = read_configuration(path)
        self.weights: WeightSource = open_weights(path, verify=verify, early=early)
        self.spec = build_model(self.config, self.weights.names(), self._pooling())
        self.tokenizer_path = path / "tokenizer.json"

    @property
    def model(self) -> ModelSpec:
        """The encoder.

        Raises:
            InvalidArgumentError: it is a language model.
        """
        if isinstance(self.spec, SenseSpec):
            raise InvalidArgumentError(
                f"{self.path} is a model of several senses ({self.spec.family}); an encoder of text alone, "
                "for instance a BERT, is needed here"
            )
        if not isinstance(self.spec, ModelSpec):
            raise InvalidArgumentError(
                f"{self.path} is a language model ({self.spec.family}): it gives logits and perplexity; "
                "embeddings take an encoder, for instance a BERT"
            )
        return self.spec

    @property
    def decoder(self) -> DecoderSpec:
        """The language model.

        Raises:
            InvalidArgumentError: it is an encoder.
        """
        if isinstance(self.spec, ModelSpec | SenseSpec):
            raise InvalidArgumentError(
                f"{self.path} is an encoder ({self.spec.family}): it gives embeddings; logits and perplexity "
                "take a language model, for instance a Llama"
            )
        return self.spec

    @property
    def senses(self) -> SenseSpec:
        """The model of images or sound.

        Raises:
            InvalidArgumentError: it reads text alone.
        """
        if not isinstance(self.spec, SenseSpec):
            raise InvalidArgumentError(
                f"{self.path} reads text alone ({self.spec.family}); images take a CLIP model, sound takes a "
                "Whisper"
            )
        return self.spec

    @property
    def has_senses(self) -> bool:
        """Whether it sees images or hears sound."""
        return isinstance(self.spec, SenseSpec)

    @property
    def is_decoder(self) -> bool:
        """Whether it is a language model."""
        return not isinstance(self.spec, ModelSpec | SenseSpec)

    @property
    def max_tokens(self) -> int:
        """Longest input: what the model was trained on, never more than it has positions."""
        value = self._own().get("max_tokens", self.spec.max_tokens)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise WeightError(
                f"{self.path / 'config.json'}: arrowmind.max_tokens is {value!r}; use a whole number >= 1"
            )
        return min(value, self.spec.max_tokens)

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
            "family": self.spec.family,
            "dimension": self.spec.hidden,
            "layers": len(self.spec.blocks),
            "max_tokens": self.max_tokens,
            **self._own_facts(),
            "fingerprint": self.fingerprint,
            "weights": self.weights.describe(),
        }

    def _own_facts(self) -> dict[str, Any]:
        if isinstance(self.spec, ModelSpec):
            return {"pooling": self.spec.pooling.kind}
        if isinstance(self.spec, SenseSpec):
            return {"towers": [tower.kind for tower in self.spec.towers]}
        return {"vocabulary": self.spec.vocabulary}

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
