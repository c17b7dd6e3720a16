"""Ollama: POST /api/chat with `format`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from arrowmind.consolidate.remote.answers import answered_object, count, decoded, text_at
from arrowmind.consolidate.remote.base import Completion
from arrowmind.consolidate.remote.http import Address, post
from arrowmind.errors import ConfigurationError, ProviderError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from arrowmind.consolidate.remote.base import Message, ProviderSettings

__all__ = ["Ollama", "open_provider"]

_URL = "http://localhost:11434"


def open_provider(settings: ProviderSettings) -> Ollama:
    """The model `settings.model`.

    Raises:
        ConfigurationError: no model is named.
    """
    if not settings.model:
        raise ConfigurationError("consolidation.model is empty; name a model that `ollama list` shows")
    return Ollama(settings.model, Address(settings.url or _URL, {}, settings.max_answer_bytes))


@dataclass(frozen=True)
class Ollama:
    """A model that an Ollama server runs."""

    model: str
    address: Address

    @property
    def name(self) -> str:
        """`ollama:` and the model."""
        return f"ollama:{self.model}"

    def complete(
        self,
        messages: Sequence[Message],
        schema: Mapping[str, Any] | None,
        *,
        max_tokens: int,
        timeout: float,
    ) -> Completion:
        """As `Provider.complete`."""
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [message.to_dict() for message in messages],
            "stream": False,
            "options": {"temperature": 0, "num_predict": max_tokens},
        }
        if schema is not None:
            body["format"] = schema
        answer = decoded(post(self.address, "/api/chat", body, timeout), self.name)
        if answer.get("done_reason") == "length" and schema is not None:
            raise ProviderError(
                f"{self.name}: {max_tokens} tokens cut the answer off; allow more", is_answer=True
            )
        text = text_at(answer, self.name, "message", "content")
        data = None if schema is None else answered_object(text, self.name)
        return Completion(text, data, count(answer, "prompt_eval_count"), count(answer, "eval_count"))
