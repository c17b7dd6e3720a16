"""Which images and sounds belong to which memory; their bytes are blobs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

__all__ = [
    "Attachment",
    "all_blobs",
    "attachments_of",
    "delete_attachments",
    "insert_attachments",
    "take_released",
]


@dataclass(frozen=True)
class Attachment:
    """An image or a sound of a memory.

    Attributes:
        kind: `image` or `audio`.
        sha256: of its bytes, in hex; the name of its blob.
        size: in bytes.
        media_type: such as `image/png`, told by its first bytes.
    """

    kind: str
    sha256: str
    size: int
    media_type: str


def insert_attachments(db: sqlite3.Connection, id_: int, attachments: Iterable[Attachment]) -> None:
    """Notes what belongs to a memory."""
    db.executemany(
        "INSERT INTO attachment VALUES (?, ?, ?, ?, ?, ?)",
        (
            (id_, position, a.kind, bytes.fromhex(a.sha256), a.size, a.media_type)
            for position, a in enumerate(attachments)
        ),
    )


def attachments_of(db: sqlite3.Connection, id_: int) -> tuple[Attachment, ...]:
    """What belongs to a memory, in the order it was given."""
    rows = db.execute(
        "SELECT kind, sha256, bytes, media_type FROM attachment WHERE id = ? ORDER BY position", (id_,)
    )
    return tuple(Attachment(kind, sha.hex(), size, type_) for kind, sha, size, type_ in rows)


def delete_attachments(db: sqlite3.Connection, ids: Iterable[int]) -> None:
    """Lets go of what belongs to forgotten memories; their blobs wait for removal."""
    for id_ in ids:
        db.execute(
            "INSERT INTO released_blob SELECT sha256 FROM attachment WHERE id = ? ON CONFLICT DO NOTHING",
            (id_,),
        )
        db.execute("DELETE FROM attachment WHERE id = ?", (id_,))


def all_blobs(db: sqlite3.Connection) -> dict[str, int]:
    """Names and sizes of all blobs that belong to a memory."""
    rows = db.execute("SELECT DISTINCT sha256, bytes FROM attachment")
    return {sha.hex(): int(size) for sha, size in rows}


def take_released(db: sqlite3.Connection) -> list[str]:
    """Names of blobs that belonged to forgotten memories and belong to none now; asked once."""
    rows = db.execute(
        "SELECT sha256 FROM released_blob WHERE sha256 NOT IN (SELECT sha256 FROM attachment)"
    ).fetchall()
    db.execute("DELETE FROM released_blob")
    return [sha.hex() for (sha,) in rows]
