"""Remove memories by their ids.

They are never recalled again. Their bytes leave the disk later, or at once with --compact or --receipt.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from arrowmind.cli.render import bytes_text, write
from arrowmind.cli.session import Session
from arrowmind.cli.stores import open_store
from arrowmind.errors import InvalidArgumentError

__all__ = ["run"]


def run(
    session: Session,
    ids: Annotated[list[int], typer.Argument(metavar="ID...", help="Ids, as recall shows them.")],
    store: Annotated[Path | None, typer.Option("--store", help="Store to forget from.")] = None,
    namespace: Annotated[
        str | None, typer.Option("--namespace", help="Only those of this namespace.")
    ] = None,
    compact: Annotated[
        bool, typer.Option("--compact", help="Remove their bytes from all files now.")
    ] = False,
    receipt: Annotated[
        Path | None, typer.Option("--receipt", help="The same, and a file that testifies to it.")
    ] = None,
) -> None:
    if receipt is not None and receipt.exists():
        raise InvalidArgumentError(f"{receipt}: is there already; choose a new file for the receipt")
    with open_store(session, store, namespace=namespace) as opened:
        if receipt is not None:
            made = opened.erase(ids)
            made.save(receipt)
            count, report = len(made.ids), None
        else:
            count = opened.forget(ids)
            report = opened.compact() if compact else None
    data: dict[str, Any] = {
        "asked": len(ids),
        "forgotten": count,
        "compaction": asdict(report) if report else None,
    }
    if receipt is not None:
        data["receipt"] = str(receipt)

    def text() -> None:
        write(f"forgot {count} of {len(ids)}")
        if report is not None:
            before, after = bytes_text(report.bytes_before), bytes_text(report.bytes_after)
            write(f"removed the bytes of {report.removed} memories: {before} before, {after} after")
        if receipt is not None:
            write(f"no byte of them is left; {receipt} testifies to it")

    session.show(data, text)
