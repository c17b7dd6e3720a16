"""What memories have to do with each other, brought up to date: links, and maps between kinds of content."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from arrowmind.observe import no_progress

if TYPE_CHECKING:
    from arrowmind.memory import MemoryStore
    from arrowmind.observe import Progress

__all__ = ["Associated", "associate"]


@dataclass(frozen=True)
class Associated:
    """What was brought up to date.

    Attributes:
        linked: memories that were linked with what they resemble.
        maps: between kinds of content, fitted again.
    """

    linked: int
    maps: int


def associate(store: MemoryStore, progress: Progress = no_progress) -> Associated:
    """Links memories that came since the last time, and fits the maps again where there are several kinds.

    Args:
        store: whose memories.
        progress: called with (memories linked, memories to link, "links").

    Raises:
        MemoryStoreError: the store is damaged, or another process writes for too long.
    """
    linked = store.link(progress=progress)
    has_several = len(store.stats().spaces) > 1
    return Associated(linked, len(store.align().maps) if has_several else 0)
