"""Show how large a memory store is and what it holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arrowmind.cli.render import bytes_text, print_table
from arrowmind.cli.session import Session
from arrowmind.cli.stores import open_store

if TYPE_CHECKING:
    from arrowmind.memory import StoreStats

__all__ = ["run"]


def run(
    session: Session,
    store: Annotated[Path | None, typer.Option("--store", help="Store to look at.")] = None,
) -> None:
    """Show how large a memory store is and what it holds."""
    with open_store(session, store) as opened:
        stats = opened.stats()
    session.show(stats.to_dict(), lambda: _print(stats))


def _print(stats: StoreStats) -> None:
    rows = [
        ("store", stats.path),
        ("memories", str(stats.records)),
        ("vectors", f"{stats.vectors} of dimension {stats.dimension}" if stats.dimension else "none"),
        ("waiting for a segment", str(stats.pending)),
        ("segments", str(stats.segments)),
        ("forgotten, not yet removed", str(stats.forgotten)),
        ("in the text index", str(stats.indexed)),
        ("encoder", stats.encoder or "none yet"),
        *((f"{part} on disk", bytes_text(size)) for part, size in stats.bytes.items()),
        *((f"category {name}", str(count)) for name, count in stats.categories.items()),
    ]
    print_table(rows)
