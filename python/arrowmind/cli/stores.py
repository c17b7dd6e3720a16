"""Opens a memory store as the settings say."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from arrowmind.memory import MemoryStore, RecallSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from arrowmind.cli.session import Session
    from arrowmind.memory import TextEncoder

__all__ = ["is_store", "open_store"]


@contextmanager
def open_store(
    session: Session,
    path: Path | None,
    engine: TextEncoder | None = None,
    *,
    create: bool = False,
    words_only: bool = False,
) -> Iterator[MemoryStore]:
    """A store, closed at the end of the block.

    Args:
        session: Its settings say how the store keeps and ranks.
        path: Folder of the store; None takes `memory.path`.
        engine: Makes vectors of texts; None for what needs none.
        create: Make the store where there is none.
        words_only: Leave meaning out of recall.

    Raises:
        MemoryStoreError: there is no store there and `create` is off, or it cannot be used.
    """
    ranking = RecallSettings(vector_weight=0.0, text_weight=1.0) if words_only else None
    with MemoryStore(path, engine, create=create, recall_settings=ranking, config=session.config) as store:
        yield store


def is_store(path: Path) -> bool:
    """Whether a folder holds a memory store."""
    return (path / "catalogue.sqlite").exists()
