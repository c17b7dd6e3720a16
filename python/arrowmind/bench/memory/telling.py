"""A conversation as a store remembers it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arrowmind.memory import MemoryStore

if TYPE_CHECKING:
    from pathlib import Path

    from arrowmind.bench.memory.conversations import Conversation
    from arrowmind.memory import TextEncoder

__all__ = ["tell"]


def tell(
    conversation: Conversation, folder: Path, encoder: TextEncoder
) -> tuple[MemoryStore, dict[int, int]]:
    """A new store that remembers every turn.

    Returns:
        The open store, and the place of the turn that each id stands for.
    """
    store = MemoryStore(folder, encoder)
    ids = store.remember_many(
        [turn.text for turn in conversation.turns], timestamp=[turn.moment for turn in conversation.turns]
    )
    store.link()
    return store, {id_: place for place, id_ in enumerate(ids)}
