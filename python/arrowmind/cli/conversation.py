"""A conversation with a model: its messages, and the file they are kept in."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from arrowmind.columnar import publish_bytes
from arrowmind.errors import InvalidArgumentError
from arrowmind.generate.chat.messages import check_messages

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Conversation"]

_LARGEST_FILE = 64 * 1024 * 1024


class Conversation:
    """Messages, the system's first."""

    def __init__(self, system: str = "") -> None:
        self.system = system
        self._turns: list[dict[str, Any]] = []

    @property
    def messages(self) -> list[dict[str, Any]]:
        """All messages, as a chat template takes them."""
        first = [{"role": "system", "content": self.system}] if self.system else []
        return [*first, *self._turns]

    def add(self, role: str, content: str) -> None:
        """Adds a message."""
        self._turns.append({"role": role, "content": content})

    def take_back(self) -> None:
        """Removes the last message."""
        self._turns.pop()

    def reset(self) -> None:
        """Forgets everything but what the system says."""
        self._turns.clear()

    def save(self, path: Path) -> None:
        """Writes the messages as JSON; the file appears whole.

        Raises:
            StorageError: It cannot be written.
        """
        text = json.dumps({"messages": self.messages}, ensure_ascii=False, indent=1)
        publish_bytes(path, f"{text}\n".encode("utf-8", "replace"))

    def load(self, path: Path) -> None:
        """Replaces the messages by those of a file.

        Raises:
            InvalidArgumentError: It cannot be read, or holds something else.
        """
        try:
            if path.stat().st_size > _LARGEST_FILE:
                raise InvalidArgumentError(
                    f"{path} has more than {_LARGEST_FILE} bytes; it is no conversation"
                )
            value = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise InvalidArgumentError(
                f"{path} cannot be read ({error}); name a file that /save made"
            ) from error
        if not isinstance(value, dict):
            raise InvalidArgumentError(f"{path} holds no conversation; name a file that /save made")
        messages = check_messages(value.get("messages"))
        has_system = messages[0]["role"] == "system" and isinstance(messages[0].get("content"), str)
        self.system = messages.pop(0)["content"] if has_system else ""
        self._turns = messages
