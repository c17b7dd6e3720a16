"""Compare two model folders: their weights, and their embeddings of the same texts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from arrowmind.cli.engines import embedder
from arrowmind.cli.failure import FAILED
from arrowmind.cli.render import write
from arrowmind.cli.session import Session
from arrowmind.cli.texts import read_texts
from arrowmind.quantize import Thresholds, validate
from arrowmind.quantize.probes import PROBES

__all__ = ["run"]


def run(
    session: Session,
    reference: Annotated[Path, typer.Argument(metavar="REFERENCE", help="The original.")],
    candidate: Annotated[Path, typer.Argument(metavar="CANDIDATE", help="The model to judge.")],
    texts: Annotated[Path | None, typer.Option("--texts", help="Texts to embed, one per line.")] = None,
) -> None:
    settings = session.config.precision
    report = validate(
        reference,
        candidate,
        embedder=embedder(session),
        texts=PROBES if texts is None else read_texts([], texts),
        thresholds=Thresholds(settings.cosine_mean, settings.cosine_min, settings.overlap_at_10),
    )
    session.show(report.to_dict(), lambda: write(str(report)))
    if not report.passed:
        raise typer.Exit(FAILED)
