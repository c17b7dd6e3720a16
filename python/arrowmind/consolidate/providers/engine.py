"""Our own engine: a language model of this machine, held to the schema by its grammar."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from arrowmind.consolidate.remote.answers import answered_object
from arrowmind.consolidate.remote.base import Completion
from arrowmind.errors import ConfigurationError, OptimizationError, ProviderError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from arrowmind.consolidate.remote.base import Message, ProviderSettings
    from arrowmind.engine import ArrowEngine
    from arrowmind.engine.generating import GenerationOptions

__all__ = ["Engine", "open_provider"]


def open_provider(settings: ProviderSettings) -> Engine:
    """The model folder `settings.model`.

    Raises:
        ConfigurationError: no folder is named.
        WeightError: the folder cannot be used.
    """
    if not settings.model:
        raise ConfigurationError("consolidation.model is empty; name the folder of a language model")
    from arrowmind.engine import ArrowEngine as Opened  # noqa: PLC0415  other providers need no engine

    engine = Opened(settings.model)
    if not engine.is_decoder:
        raise ConfigurationError(f"{settings.model}: encodes texts, it writes none; name a language model")
    return Engine(engine, settings.model)


class Engine:
    """A language model in this process."""

    def __init__(self, engine: ArrowEngine, model: str) -> None:
        self._engine = engine
        self._model = model

    @property
    def name(self) -> str:
        """`engine:` and the folder."""
        return f"engine:{self._model}"

    def complete(
        self,
        messages: Sequence[Message],
        schema: Mapping[str, Any] | None,
        *,
        max_tokens: int,
        timeout: float,
    ) -> Completion:
        """As `Provider.complete`; the time is looked at between tokens."""
        options: GenerationOptions = {"max_tokens": max_tokens, "temperature": 0.0}
        if schema is not None:
            options["json_schema"] = schema
        deadline = time.monotonic() + timeout
        try:
            with self._engine.stream([message.to_dict() for message in messages], **options) as stream:
                for _ in stream:
                    if time.monotonic() > deadline:
                        raise ProviderError(
                            f"{self.name}: no whole answer within {timeout:g} s; raise consolidation.timeout "
                            "or take a smaller model"
                        )
                found = stream.generation
        except ProviderError:
            raise
        except OptimizationError as error:
            raise ProviderError(f"{self.name}: {error}") from error
        if schema is not None and found.finish_reason == "length":
            raise ProviderError(
                f"{self.name}: {max_tokens} tokens cut the answer off; allow more", is_answer=True
            )
        data = None if schema is None else answered_object(found.text, self.name)
        return Completion(found.text, data, found.timings.prompt_tokens, found.timings.tokens)
