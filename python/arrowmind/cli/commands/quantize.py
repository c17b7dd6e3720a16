"""Make a smaller model folder, and refuse it if its embeddings are not close enough to the original's."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from arrowmind.cli.engines import calibrator, embedder, observer
from arrowmind.cli.quantizing import (
    BudgetOptions,
    CheckOptions,
    CodeOptions,
    MethodOptions,
    TextOptions,
    configuration,
)
from arrowmind.cli.render import write
from arrowmind.cli.session import Session
from arrowmind.cli.texts import read_texts
from arrowmind.quantize import ArrowQuantizer
from arrowmind.quantize.probes import PROBES

__all__ = ["run"]


def run(
    session: Session,
    source: Annotated[Path, typer.Option("--input", "-i", help="Model folder in floating point.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to make.")],
    codes: CodeOptions,
    method: MethodOptions,
    budget: BudgetOptions,
    check: CheckOptions,
    texts: TextOptions,
    force: Annotated[bool, typer.Option("--force", help="Replace the folder if it exists.")] = False,
) -> None:
    quantizer = ArrowQuantizer(
        configuration(session.config, codes, method, budget, check),
        embedder=embedder(session),
        observer=observer(),
        calibrator=calibrator(),
        texts=_texts(texts.check_texts) or PROBES,
        calibration_texts=_texts(texts.calibration_text),
    )
    with session.progress() as progress:
        report = quantizer.quantize(source, output, force=force, progress=progress)
    session.show({"output": str(output), **report.to_dict()}, lambda: write(f"{output}\n{report}"))


def _texts(path: Path | None) -> list[str] | None:
    return None if path is None else list(read_texts([], path))
