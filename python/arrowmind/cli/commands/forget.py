"""Remove memories by their ids.

They are never recalled again. Their bytes leave the disk later, or at once with --compact or --receipt.
"""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from arrowmind.cli.failure import complain
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
    if receipt is not None:
        _check_place(receipt)
    asked = len(set(ids))
    with open_store(session, store, namespace=namespace) as opened:
        if receipt is not None:
            made = opened.erase(ids)
            made.save(receipt)
            count, report = len(made.ids), None
        else:
            count = opened.forget(ids)
            report = opened.compact() if compact else None
    data: dict[str, Any] = {
        "asked": asked,
        "forgotten": count,
        "compaction": asdict(report) if report else None,
    }
    if receipt is not None:
        data["receipt"] = str(receipt)

    def text() -> None:
        more = f": what was derived from the {asked} as well" if count > asked else ""
        write(f"forgot {count}{more or f' of {asked}'}")
        if not count:
            complain("none of these ids is there; recall shows ids")
        if report is not None:
            before, after = bytes_text(report.bytes_before), bytes_text(report.bytes_after)
            write(f"removed the bytes of {report.removed} memories: {before} before, {after} after")
        if receipt is not None:
            write(f"no byte of them is left; {receipt} testifies to it")

    session.show(data, text)


def _check_place(receipt: Path) -> None:
    """Refuses a file that could not be written: what was forgotten by then would have no receipt."""
    if receipt.exists():
        raise InvalidArgumentError(f"{receipt}: is there already; choose a new file for the receipt")
    if not os.access(receipt.parent, os.W_OK | os.X_OK) or not receipt.parent.is_dir():
        raise InvalidArgumentError(
            f"{receipt}: no file can be made in {receipt.parent}; choose a folder that you may write to"
        )
