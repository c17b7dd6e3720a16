"""Opens a memory to be served beside models."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from arrowmind.cli.stores import Models, open_store
from arrowmind.errors import InvalidArgumentError
from arrowmind.faces import MemoryDesk

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from arrowmind.cli.session import Session
    from arrowmind.engine import ArrowEngine

__all__ = ["open_desk"]


@contextmanager
def open_desk(
    session: Session, path: Path | None, engines: Iterable[ArrowEngine]
) -> Iterator[MemoryDesk | None]:
    """The memory of a store that uses the encoder among these engines that made it; None without a store.

    Args:
        session: Its settings name models of images and sounds.
        path: Folder of the store; it is made if need be.
        engines: Those that are served.

    Raises:
        InvalidArgumentError: none of the engines is the store's encoder.
    """
    if path is None:
        yield None
        return
    with open_store(session, path, create=True) as store:
        made_with = store.stats().encoder
    encoders = [engine for engine in engines if not (engine.is_decoder or engine.has_senses)]
    fitting = [engine for engine in encoders if made_with in (None, engine.fingerprint)]
    if not fitting:
        raise InvalidArgumentError(
            f"no model that is served is the encoder of the store {path}; add it with --embedding-model"
        )
    more = Models().media_engines(session)
    with open_store(session, path, fitting[0], create=True, media=more, purpose="serve") as store:
        yield MemoryDesk(store)
