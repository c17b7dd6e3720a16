"""Opening a store: what must be there, and which encoder it belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arrowmind.errors import InvalidArgumentError, MemoryStoreError
from arrowmind.memory import tables
from arrowmind.memory.catalogue import Catalogue
from arrowmind.memory.encoder import EXTERNAL
from arrowmind.memory.forking import fork_gate
from arrowmind.memory.lock import hold_lock
from arrowmind.memory.schema import create_tables, explained, is_created

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

    from arrowmind.memory.encoder import TextEncoder
    from arrowmind.memory.paths import StorePaths

__all__ = ["check_encoder", "open_catalogue", "settle_encoder"]


def open_catalogue(paths: StorePaths, busy_seconds: float, *, create: bool) -> Catalogue:
    """The catalogue of a store, made if need be.

    Raises:
        MemoryStoreError: there is no store and ``create`` is False, or none can be made.
        StoreVersionError: a newer version made the store.
    """
    path = paths.catalogue
    if not create and not path.exists():
        raise MemoryStoreError(f"{paths.root}: holds no memory store; remember something there first")
    catalogue = Catalogue(path, busy_seconds)
    if path.exists() and _is_complete(catalogue):
        paths.make_folders()
        return catalogue
    paths.make()
    with hold_lock(paths.lock, busy_seconds), fork_gate.connection_in_use(), explained(path):
        create_tables(path, busy_seconds)
    return catalogue


def _is_complete(catalogue: Catalogue) -> bool:
    """Whether the tables are there; a process may have died while it made them."""
    with catalogue.reading() as db:
        return is_created(db, catalogue.path)


def check_encoder(facts: dict[str, str | int], encoder: TextEncoder | None, root: Path) -> None:
    """Refuses an encoder whose vectors cannot be compared with those in the store.

    Raises:
        MemoryStoreError: it is another one than the store was made with.
    """
    if encoder is None or "dimension" not in facts:
        return
    same = facts["dimension"] == encoder.dimension
    if not same or facts["encoder"] not in (EXTERNAL, encoder.fingerprint):
        made_with = f"{facts['encoder']} of dimension {facts['dimension']}"
        raise MemoryStoreError(
            f"{root}: was made with encoder {made_with}, not {encoder.fingerprint} of dimension "
            f"{encoder.dimension}: their vectors cannot be compared; open it with that encoder, or remember "
            "the texts in a new store"
        )


def settle_encoder(db: sqlite3.Connection, encoder: TextEncoder | None, dimension: int, root: Path) -> None:
    """Fixes encoder and dimension with the first vector; later ones must agree.

    Raises:
        InvalidArgumentError: the vectors have another dimension.
        MemoryStoreError: another encoder was fixed meanwhile.
    """
    facts = tables.settings(db)
    if "dimension" not in facts:
        tables.put_setting(db, "dimension", dimension)
        tables.put_setting(db, "encoder", encoder.fingerprint if encoder else EXTERNAL)
        return
    check_encoder(facts, encoder, root)
    if facts["dimension"] != dimension:
        raise InvalidArgumentError(
            f"{root}: has vectors of dimension {facts['dimension']}, these have {dimension}; use the encoder "
            "the store was made with, or another store"
        )
