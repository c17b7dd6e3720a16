"""Takes the memories of an export into a store.

Each part is one transaction that also notes which memories came by it, so that an import that was cut off
goes on where it stopped.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from arrowmind.errors import InvalidArgumentError, MemoryStoreError
from arrowmind.memory.encoder import EXTERNAL, Encoders, embed_texts
from arrowmind.memory.intake.drafts import make_drafts
from arrowmind.memory.keeping.transfer import read_export, read_manifest
from arrowmind.memory.storage import lifecycle_tables, tables
from arrowmind.memory.storage.lifecycle_tables import TIERS, Derivation, Quote
from arrowmind.memory.storage.spaces import TEXT, all_spaces
from arrowmind.observe import get_logger

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from arrowmind.memory.intake.drafts import Draft
    from arrowmind.memory.intake.receiving import Intake
    from arrowmind.memory.keeping.transfer import Manifest
    from arrowmind.memory.storage.catalogue import Catalogue
    from arrowmind.observe import Progress

__all__ = ["ExportedEncoders", "import_export"]

_log = get_logger(__name__)
_PLAIN = ("category", "namespace", "origin", "timestamp", "expires")


@dataclass(frozen=True)
class ExportedEncoders(Encoders):
    """The encoders of a store that takes vectors which others have made."""

    known: Mapping[str, str] = field(default_factory=dict)

    def fingerprint(self, space: str) -> str:
        """That of the export, where it has vectors."""
        return self.known.get(space) or super().fingerprint(space)


@dataclass(frozen=True)
class Door:
    """The way into a store.

    Attributes:
        encoders: those there are; vectors of other encoders than the store's are made again by them.
        open_intake: stores memories, given encoders.
        redact: takes private data out of memories.
    """

    encoders: Encoders
    open_intake: Callable[[Encoders], Intake]
    redact: Callable[[list[Draft]], list[Draft]]


def import_export(
    source: Path,
    catalogue: Catalogue,
    door: Door,
    progress: Progress,
) -> int:
    """Stores the memories of an export under new ids; returns how many came.

    Args:
        source: the folder of the export.
        catalogue: of the store.
        door: the way into the store.
        progress: called with (memories on disk, all, "memories").

    Raises:
        InvalidArgumentError: it is no export, or its vectors are of other encoders and none is there to make
            new ones.
        MemoryStoreError: it is damaged, or the store cannot be written.
    """
    manifest = read_manifest(source)
    encoders = door.encoders
    kept = _comparable(manifest, catalogue, encoders)
    known = {name: manifest.encoders[name] for name in kept}
    intake = door.open_intake(ExportedEncoders(encoders.text, encoders.image, encoders.audio, known=known))
    with catalogue.reading() as db:
        done = _imported(db, manifest.key)
    count, lasting = len(done), []
    for rows, vectors in read_export(source, manifest):
        new = [place for place, row in enumerate(rows) if row["id"] not in done]
        lasting += [row for row in rows if row["derivation"] or row["tier"] != TIERS[0]]
        chosen = _chosen(vectors, kept, new)
        part = [rows[i] for i in new]
        drafts = door.redact(_drafts(part, source))
        chosen = _completed(chosen, drafts, encoders, source)
        for ids in intake.store_vectors(drafts, chosen, _noting(manifest.key, part)):
            count += len(ids)
            progress(count, manifest.memories, "memories")
    with catalogue.writing() as db:
        _finish(db, manifest.key, lasting)
    return count


def _comparable(manifest: Manifest, catalogue: Catalogue, encoders: Encoders) -> list[str]:
    """Spaces of an export whose vectors the store can take as they are."""
    with catalogue.reading() as db:
        there = {space.name: space.encoder for space in all_spaces(db)}
    kept = []
    for name, exported in manifest.encoders.items():
        own = encoders.fingerprint(name)
        expected = there.get(name) or (own if own != EXTERNAL else exported)
        if EXTERNAL in (expected, exported) or expected == exported:
            kept.append(name)
        elif own == expected:
            _log.warning("vectors_made_again", space=name, exported=exported, store=expected)
        else:
            raise InvalidArgumentError(
                f"vectors of {name!r} in the export are of encoder {exported}, those of the store of "
                f"{expected}; open the store with that encoder, so that new ones can be made"
            )
    return kept


def _chosen(vectors: Mapping[str, list[Any]], kept: list[str], places: list[int]) -> dict[str, list[Any]]:
    return {name: [vectors[name][place] for place in places] for name in kept}


def _completed(
    given: dict[str, list[Any]], drafts: list[Draft], encoders: Encoders, source: Path
) -> dict[str, list[Any]]:
    """With vectors of texts that were cold when the export was written by who had no engine."""
    parts = given.get(TEXT, [None] * len(drafts))
    missing = [place for place, draft in enumerate(drafts) if draft.text and parts[place] is None]
    if TEXT not in given or not missing:
        return given
    if encoders.text is None:
        raise InvalidArgumentError(
            f"{source}: lacks vectors of {len(missing)} memories; open the store with its engine, so that "
            "they can be made, or export again with one"
        )
    made = embed_texts(encoders.text, [drafts[place].text for place in missing])
    completed = list(parts)
    for place, vectors in zip(missing, made, strict=True):
        completed[place] = vectors
    return {**given, TEXT: completed}


def _drafts(rows: list[dict[str, Any]], source: Path) -> list[Draft]:
    columns: dict[str, Any] = {name: [row[name] for row in rows] for name in _PLAIN}
    columns["metadata"] = [json.loads(row["metadata"]) for row in rows]
    columns["trust"] = [round(row["trust"], 2) for row in rows]
    for kind in ("image", "audio"):
        columns[kind] = [_blob(source, row, kind) for row in rows]
    return make_drafts([row["text"] for row in rows], columns)


def _noting(key: str, rows: list[dict[str, Any]]) -> Callable[[sqlite3.Connection, list[int]], None]:
    """Notes under which ids memories come, part by part, in their order."""
    old = iter([int(row["id"]) for row in rows])

    def note(db: sqlite3.Connection, ids: list[int]) -> None:
        pairs = [(key, next(old), id_) for id_ in ids]
        db.executemany("INSERT INTO imported VALUES (?, ?, ?)", pairs)

    return note


def _blob(source: Path, row: dict[str, Any], kind: str) -> Path | None:
    names = [attachment["sha256"] for attachment in row["attachments"] if attachment["kind"] == kind]
    if not names:
        return None
    name = str(names[0])
    if len(name) != 64 or not set(name) <= set("0123456789abcdef"):
        raise MemoryStoreError(f"{source}: names a blob {name!r:.80}; the export is damaged")
    return source / "blobs" / name


def _imported(db: sqlite3.Connection, key: str) -> dict[int, int]:
    return dict(db.execute("SELECT old, new FROM imported WHERE source = ?", (key,)))


def _finish(db: sqlite3.Connection, key: str, rows: list[dict[str, Any]]) -> None:
    """What memories say of each other, by their new ids; and no trace of the import."""
    new = _imported(db, key)
    change = f"import:{key[:16]}:{min(new.values(), default=0)}"
    for row in rows:
        id_, derivation = new[row["id"]], row["derivation"]
        if derivation:
            quotes = [Quote(new[q["source"]], q["text"]) for q in derivation["quotes"] if q["source"] in new]
            about = (derivation["valid_from"], derivation["valid_to"], derivation["made_by"])
            lifecycle_tables.insert_derivation(db, id_, Derivation(change, tuple(quotes), *about))
        if row["tier"] in TIERS[1:]:
            lifecycle_tables.set_tier(db, id_, TIERS.index(row["tier"]))
    db.execute("DELETE FROM imported WHERE source = ?", (key,))
    tables.touch_layout(db)
