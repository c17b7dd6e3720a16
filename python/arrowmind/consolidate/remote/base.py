"""The one interface of language models."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Completion", "Message", "Provider", "ProviderSettings"]


@dataclass(frozen=True)
class Message:
    """One turn of a conversation; the role is `system`, `user` or `assistant`."""

    role: str
    text: str

    def to_dict(self) -> dict[str, str]:
        """As most interfaces want it."""
        return {"role": self.role, "content": self.text}


@dataclass(frozen=True)
class Completion:
    """An answer.

    Attributes:
        text: as it was written.
        data: the object it holds; None where no schema was asked for.
        tokens_in: of the request, counted by the other side, 0 where it does not say.
        tokens_out: of the answer, likewise.
    """

    text: str
    data: Mapping[str, Any] | None = None
    tokens_in: int = 0
    tokens_out: int = 0


class Provider(Protocol):
    """A language model."""

    @property
    def name(self) -> str:
        """What wrote an answer, for instance `ollama:qwen2.5:3b`."""

    def complete(
        self,
        messages: Sequence[Message],
        schema: Mapping[str, Any] | None,
        *,
        max_tokens: int,
        timeout: float,
    ) -> Completion:
        """Asks once.

        Args:
            messages: the conversation.
            schema: JSON schema of an object that the answer must be; None for plain text.
            max_tokens: of the answer.
            timeout: seconds for the whole request, the reading of the answer included.

        Raises:
            ProviderError: there is no answer that can be used.
        """


@dataclass(frozen=True)
class ProviderSettings:
    """What a provider is opened with.

    Attributes:
        model: name of the model; a folder for our own engine. Empty takes the provider's own default.
        url: where it listens; empty takes the provider's own default.
        key_variable: environment variable with the API key; empty takes the provider's own.
        key_file: file of mode 600 with the API key, asked before the variable; empty for none.
        max_answer_bytes: of an answer; more is an error.
        options: for providers of users.
    """

    model: str = ""
    url: str = ""
    key_variable: str = ""
    key_file: str = ""
    max_answer_bytes: int = 4 << 20
    options: Mapping[str, Any] = field(default_factory=dict)
