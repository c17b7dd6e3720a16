"""Remove memories by their ids.

They are never recalled again. Their bytes leave the disk later, or at once with --compact.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from arrowmind.cli.render import bytes_text, write
from arrowmind.cli.session import Session
from arrowmind.cli.stores import open_store

__all__ = ["run"]


def run(
    session: Session,
    ids: Annotated[list[int], typer.Argument(metavar="ID...", help="Ids, as recall shows them.")],
    store: Annotated[Path | None, typer.Option("--store", help="Store to forget from.")] = None,
    compact: Annotated[
        bool, typer.Option("--compact", help="Remove their bytes from all files now.")
    ] = False,
) -> None:
    with open_store(session, store) as opened:
        count = opened.forget(ids)
        report = opened.compact() if compact else None
    data = {"asked": len(ids), "forgotten": count, "compaction": asdict(report) if report else None}

    def text() -> None:
        write(f"forgot {count} of {len(ids)}")
        if report is not None:
            before, after = bytes_text(report.bytes_before), bytes_text(report.bytes_after)
            write(f"removed the bytes of {report.removed} memories: {before} before, {after} after")

    session.show(data, text)
