"""Opening a store: what must be there, and which encoder it belongs to."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from arrowmind.errors import InvalidArgumentError, MemoryStoreError
from arrowmind.memory.encoder import EXTERNAL
from arrowmind.memory.storage import tables
from arrowmind.memory.storage.catalogue import Catalogue
from arrowmind.memory.storage.encryption import holds_another
from arrowmind.memory.storage.forking import fork_gate
from arrowmind.memory.storage.lock import hold_lock
from arrowmind.memory.storage.schema import create_tables, explained, is_created
from arrowmind.memory.storage.spaces import TEXT, all_spaces, insert_space

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from pathlib import Path

    from arrowmind.memory.encoder import Encoders, FloatArray, TextEncoder
    from arrowmind.memory.storage.paths import StorePaths

__all__ = ["check_encoder", "open_catalogue", "settle_home", "settle_space"]

_SPACE_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")


def open_catalogue(paths: StorePaths, busy_seconds: float, *, create: bool) -> Catalogue:
    """The catalogue of a store, made if need be.

    Raises:
        MemoryStoreError: there is no store and ``create`` is False, or none can be made.
        StoreVersionError: a newer version made the store.
    """
    path = paths.catalogue
    if not create and not path.exists():
        raise MemoryStoreError(f"{paths.root}: holds no memory store; remember something there first")
    catalogue = Catalogue(path, busy_seconds, paths.database_key)
    if path.exists() and _is_complete(catalogue):
        paths.make_folders()
        return catalogue
    _refuse_changed(paths)
    paths.make()
    with hold_lock(paths.lock, busy_seconds), fork_gate.connection_in_use(), explained(path):
        _refuse_changed(paths)
        _refuse_lost(paths)
        create_tables(path, busy_seconds, paths.database_key)
    return catalogue


def _refuse_changed(paths: StorePaths) -> None:
    """Makes no store beside one that another process has encrypted or decrypted a moment ago."""
    if holds_another(paths):
        raise MemoryStoreError(f"{paths.root}: was encrypted or decrypted meanwhile; open it again")


def _refuse_lost(paths: StorePaths) -> None:
    """Makes no catalogue in place of one that was lost: no memory would be found, and files that it does not
    name would be removed.
    """
    if paths.catalogue.exists() and paths.catalogue.stat().st_size:
        return
    for folder in (paths.segments, paths.blobs, paths.privacy):
        if folder.is_dir() and any(folder.iterdir()):
            raise MemoryStoreError(
                f"{paths.catalogue}: is gone or empty, but {folder.name} is of a store that was in use; "
                f"restore the folder {paths.root} from a backup, or choose another one to begin anew"
            )


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


def settle_home(
    db: sqlite3.Connection, encoders: Encoders, vectors: Sequence[FloatArray | None], root: Path
) -> int:
    """Fixes encoder and dimension of texts with the first memory; later ones must agree.

    Returns:
        The dimension.

    Raises:
        InvalidArgumentError: the vectors have another dimension, or there is nothing to tell it.
        MemoryStoreError: another encoder was fixed meanwhile.
    """
    facts = tables.settings(db)
    given = next((part.shape[1] for part in vectors if part is not None), None)
    dimension = given or (encoders.text.dimension if encoders.text else facts.get("dimension"))
    if dimension is None:
        raise InvalidArgumentError(
            f"{root}: an empty store, and no engine of texts; open it with one, or give embeddings of texts"
        )
    if "dimension" not in facts:
        tables.put_setting(db, "dimension", dimension)
        tables.put_setting(db, "encoder", encoders.fingerprint(TEXT))
        tables.touch_layout(db)
        return int(dimension)
    check_encoder(facts, encoders.text, root)
    if facts["dimension"] != dimension:
        raise _other_dimension(root, TEXT, int(facts["dimension"]), int(dimension))
    return int(dimension)


def settle_space(
    db: sqlite3.Connection, encoders: Encoders, name: str, vectors: Sequence[FloatArray | None], root: Path
) -> int:
    """Number of a space; its first vector fixes encoder and dimension.

    Raises:
        InvalidArgumentError: the vectors have another dimension, or the name cannot be one.
        MemoryStoreError: the space was made with another encoder.
    """
    if not _SPACE_NAME.fullmatch(name):
        raise InvalidArgumentError(f"embeddings of {name!r}: name a space by up to 32 of a-z, 0-9 and _")
    dimension = next(part.shape[1] for part in vectors if part is not None)
    fingerprint = encoders.fingerprint(name)
    space = next((space for space in all_spaces(db) if space.name == name), None)
    if space is None:
        tables.touch_layout(db)
        return insert_space(db, name, dimension, fingerprint)
    if space.dimension != dimension:
        raise _other_dimension(root, name, space.dimension, dimension)
    if EXTERNAL not in (space.encoder, fingerprint) and space.encoder != fingerprint:
        raise MemoryStoreError(
            f"{root}: its space {name!r} was made with encoder {space.encoder}, not {fingerprint}: their "
            "vectors cannot be compared; open it with that encoder"
        )
    return space.id


def _other_dimension(root: Path, name: str, dimension: int, given: int) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"{root}: has vectors of dimension {dimension} in its space {name!r}, these have {given}; use the "
        "encoder the store was made with, or another store"
    )
