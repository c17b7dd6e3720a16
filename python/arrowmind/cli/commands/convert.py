"""Make a model folder from a Hugging Face folder, a GGUF file or another weight file.

The result holds weights, config.json and tokenizer.json, and appears whole or not at all.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arrowmind.cli.render import bytes_text, print_table, write
from arrowmind.cli.session import Session
from arrowmind.weights import convert_model

if TYPE_CHECKING:
    from arrowmind.weights import ConvertReport

__all__ = ["run"]


def run(
    session: Session,
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="Model folder or weight file.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to make.")],
    dtype: Annotated[
        str | None, typer.Option("--dtype", metavar="fp32|fp16", help="Change the type of all tensors.")
    ] = None,
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            metavar="NAME",
            help="native (if none is given), parquet-v1, parquet-v2, safetensors, gguf, gguf-f16, gguf-q8_0, "
            "gguf-q4_0; may be repeated.",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the folder if it exists.")] = False,
) -> None:
    with session.progress() as progress:
        report = convert_model(
            source, output, formats=formats or ["native"], quant_type=dtype, force=force, progress=progress
        )
    session.show(report.to_dict(), lambda: _print(report))


def _print(report: ConvertReport) -> None:
    loss = "" if report.lossless else f", largest relative difference {report.largest_error:.1e}"
    write(
        f"{report.output}: {report.tensors} tensors from {report.source_kind} in {report.seconds:.1f} s{loss}"
    )
    print_table([f"  {name}", bytes_text(size)] for name, size in report.files.items())
