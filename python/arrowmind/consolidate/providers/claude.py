"""Claude: POST /v1/messages; the schema is that of a tool the model must call."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from arrowmind.consolidate.remote.answers import count, decoded
from arrowmind.consolidate.remote.base import Completion
from arrowmind.consolidate.remote.http import Address, post
from arrowmind.consolidate.remote.keys import api_key
from arrowmind.errors import ConfigurationError, ProviderError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from arrowmind.consolidate.remote.base import Message, ProviderSettings

__all__ = ["Claude", "open_provider"]

_URL = "https://api.anthropic.com"
_VERSION = "2023-06-01"
_TOOL = "answer"


def open_provider(settings: ProviderSettings) -> Claude:
    """The model `settings.model`; the key is in ANTHROPIC_API_KEY if nothing else is named.

    Raises:
        ConfigurationError: no model is named, or there is no key.
    """
    if not settings.model:
        raise ConfigurationError("consolidation.model is empty; name a Claude model")
    headers = {"x-api-key": api_key(settings, "ANTHROPIC_API_KEY"), "anthropic-version": _VERSION}
    return Claude(settings.model, Address(settings.url or _URL, headers, settings.max_answer_bytes))


@dataclass(frozen=True)
class Claude:
    """A model behind the messages interface."""

    model: str
    address: Address

    @property
    def name(self) -> str:
        """`claude:` and the model."""
        return f"claude:{self.model}"

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
            "max_tokens": max_tokens,
            "messages": [message.to_dict() for message in messages if message.role != "system"],
        }
        if system := "\n\n".join(message.text for message in messages if message.role == "system"):
            body["system"] = system
        if schema is not None:
            tool = {"name": _TOOL, "description": "Gives the answer.", "input_schema": schema}
            body |= {"tools": [tool], "tool_choice": {"type": "tool", "name": _TOOL}}
        answer = decoded(post(self.address, "/v1/messages", body, timeout), self.name)
        tokens = count(answer, "usage", "input_tokens"), count(answer, "usage", "output_tokens")
        if schema is None:
            return Completion("".join(self._texts(answer)), None, *tokens)
        if answer.get("stop_reason") == "max_tokens":
            raise ProviderError(
                f"{self.name}: {max_tokens} tokens cut the answer off; allow more", is_answer=True
            )
        data = self._called(answer)
        return Completion(json.dumps(data, ensure_ascii=False), data, *tokens)

    def _parts(self, answer: dict[str, Any]) -> list[dict[str, Any]]:
        content = answer.get("content")
        if not isinstance(content, list) or not all(isinstance(part, dict) for part in content):
            raise ProviderError(f"{self.name}: the answer has no content", is_passing=True, is_answer=True)
        return content

    def _texts(self, answer: dict[str, Any]) -> list[str]:
        return [str(part.get("text", "")) for part in self._parts(answer) if part.get("type") == "text"]

    def _called(self, answer: dict[str, Any]) -> dict[str, Any]:
        for part in self._parts(answer):
            if part.get("type") == "tool_use" and isinstance(part.get("input"), dict):
                called: dict[str, Any] = part["input"]
                return called
        raise ProviderError(
            f"{self.name}: the model did not call the tool it was given", is_passing=True, is_answer=True
        )
