"""Opens a memory store as the settings say."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from arrowmind.memory import MemoryStore, RecallSettings, StoreSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from arrowmind.cli.session import Session
    from arrowmind.memory import TextEncoder

__all__ = ["is_store", "open_store"]


@contextmanager
def open_store(
    session: Session, path: Path | None, engine: TextEncoder | None = None, *, create: bool = False
) -> Iterator[MemoryStore]:
    """A store, closed at the end of the block.

    Args:
        session: Its settings say how the store keeps and ranks.
        path: Folder of the store; None takes `memory.path`.
        engine: Makes vectors of texts; None for what needs none.
        create: Make the store where there is none.

    Raises:
        MemoryStoreError: there is no store there and `create` is off, or it cannot be used.
    """
    settings = session.config.memory
    store = MemoryStore(
        path or Path(settings.path).expanduser(),
        engine,
        create=create,
        settings=StoreSettings(flush_rows=settings.flush_rows),
        recall_settings=RecallSettings(
            vector_weight=settings.vector_weight, text_weight=settings.text_weight
        ),
    )
    with store:
        yield store


def is_store(path: Path) -> bool:
    """Whether a folder holds a memory store."""
    return (path / "catalogue.sqlite").exists()
