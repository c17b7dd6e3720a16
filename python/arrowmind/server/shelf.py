"""The models that a server offers, by name."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from arrowmind.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from arrowmind.engine import ArrowEngine

__all__ = ["ModelShelf", "UnknownModelError", "name_of"]


class UnknownModelError(InvalidArgumentError):
    """No model of this name is served."""


def name_of(word: str) -> tuple[str, Path]:
    """Name and folder from `NAME=FOLDER`, or from a folder, whose last part is the name."""
    name, equals, folder = word.partition("=")
    path = Path(folder if equals else word)
    name = name if equals else path.resolve().name
    if not name.strip() or not name.isprintable():
        raise InvalidArgumentError(f"{word!r} names no model; write FOLDER or NAME=FOLDER")
    return name, path


class ModelShelf:
    """Engines by name: language models, which write, and encoders."""

    def __init__(self, engines: Mapping[str, ArrowEngine]) -> None:
        """Takes engines that are open.

        Raises:
            InvalidArgumentError: There is none.
        """
        if not engines:
            raise InvalidArgumentError("no model to serve; name at least one folder")
        self._engines = dict(engines)
        self.since = int(time.time())

    def __iter__(self) -> Iterator[tuple[str, ArrowEngine]]:
        return iter(self._engines.items())

    def named(self, name: str) -> ArrowEngine:
        """The engine of this name.

        Raises:
            UnknownModelError: There is none.
        """
        if name not in self._engines:
            raise UnknownModelError(f"there is no model {name!r}; use one of {', '.join(self._engines)}")
        return self._engines[name]

    def writer(self, name: str) -> ArrowEngine:
        """A language model.

        Raises:
            InvalidArgumentError: It is unknown, or an encoder.
        """
        engine = self.named(name)
        if not engine.is_decoder:
            raise InvalidArgumentError(f"model {name!r} is an encoder: use it for /v1/embeddings")
        return engine

    def encoder(self, name: str) -> ArrowEngine:
        """A model that makes embeddings.

        Raises:
            InvalidArgumentError: It is unknown, or a language model.
        """
        engine = self.named(name)
        if engine.is_decoder:
            raise InvalidArgumentError(
                f"model {name!r} is a language model: embeddings take an encoder (--embedding-model)"
            )
        return engine

    def writers(self) -> Iterator[tuple[str, ArrowEngine]]:
        """Names and engines of the language models."""
        return ((name, engine) for name, engine in self if engine.is_decoder)

    def close(self) -> None:
        """Ends what is being generated."""
        for _, engine in self:
            engine.close()
