"""Any endpoint of OpenAI's form: POST /chat/completions with `response_format`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from arrowmind.consolidate.remote.answers import answered_object, count, decoded, text_at
from arrowmind.consolidate.remote.base import Completion
from arrowmind.consolidate.remote.http import Address, post
from arrowmind.consolidate.remote.keys import api_key
from arrowmind.errors import ConfigurationError, ProviderError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from arrowmind.consolidate.remote.base import Message, ProviderSettings

__all__ = ["OpenAI", "open_provider"]

_URL = "https://api.openai.com/v1"


def open_provider(settings: ProviderSettings) -> OpenAI:
    """The model `settings.model` at `settings.url`, which ends in `/v1` as a rule.

    The key is in OPENAI_API_KEY if nothing else is named; servers of one's own often need none.

    Raises:
        ConfigurationError: no model is named, or there is no key for the default address.
    """
    if not settings.model:
        raise ConfigurationError("consolidation.model is empty; name a model of the endpoint")
    key = api_key(settings, "OPENAI_API_KEY", needed=not settings.url or bool(settings.key_file))
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return OpenAI(settings.model, Address(settings.url or _URL, headers, settings.max_answer_bytes))


@dataclass(frozen=True)
class OpenAI:
    """A model behind the chat completions interface."""

    model: str
    address: Address

    @property
    def name(self) -> str:
        """`openai:` and the model."""
        return f"openai:{self.model}"

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
            "max_tokens": max_tokens,
            "temperature": 0,
        }
        if schema is not None:
            form = {"name": "answer", "strict": True, "schema": schema}
            body["response_format"] = {"type": "json_schema", "json_schema": form}
        answer = decoded(post(self.address, "/chat/completions", body, timeout), self.name)
        text = text_at(answer, self.name, "choices", 0, "message", "content")
        if schema is not None and answer["choices"][0].get("finish_reason") == "length":
            raise ProviderError(
                f"{self.name}: {max_tokens} tokens cut the answer off; allow more", is_answer=True
            )
        data = None if schema is None else answered_object(text, self.name)
        tokens = count(answer, "usage", "prompt_tokens"), count(answer, "usage", "completion_tokens")
        return Completion(text, data, *tokens)
