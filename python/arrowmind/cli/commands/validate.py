"""Compare two model folders: their weights, and their embeddings of the same texts."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arrowmind.cli.engines import embedder
from arrowmind.cli.failure import FAILED
from arrowmind.cli.render import write
from arrowmind.cli.session import Session
from arrowmind.cli.texts import read_texts
from arrowmind.quantize import Thresholds, validate
from arrowmind.quantize.precision import own_thresholds
from arrowmind.quantize.probes import PROBES

if TYPE_CHECKING:
    from arrowmind.config import Config

__all__ = ["run"]


def run(
    session: Session,
    reference: Annotated[Path, typer.Argument(metavar="REFERENCE", help="The original.")],
    candidate: Annotated[Path, typer.Argument(metavar="CANDIDATE", help="The model to judge.")],
    texts: Annotated[Path | None, typer.Option("--texts", help="Texts to embed, one per line.")] = None,
) -> None:
    report = validate(
        reference,
        candidate,
        embedder=embedder(session),
        reference_embedder=embedder(session, exact=True),
        texts=PROBES if texts is None else read_texts([], texts),
        thresholds=_thresholds(session.config, candidate),
    )
    session.show(report.to_dict(), lambda: write(str(report)))
    if not report.passed:
        raise typer.Exit(FAILED)


def _thresholds(config: Config, candidate: Path) -> Thresholds:
    """Those the candidate was made for, but for what the settings say."""
    names = [field.name for field in fields(Thresholds) if f"precision.{field.name}" in config.origins]
    return replace(own_thresholds(candidate), **{name: getattr(config.precision, name) for name in names})
