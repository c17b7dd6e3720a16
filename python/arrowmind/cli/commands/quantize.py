"""Make a smaller model folder, and refuse it if its embeddings are not close enough to the original's."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from arrowmind.cli.engines import calibrator, embedder, observer
from arrowmind.cli.render import write
from arrowmind.cli.session import Session
from arrowmind.cli.texts import read_texts
from arrowmind.quantize import ArrowQuantizer, QuantizationConfig
from arrowmind.quantize.probes import PROBES

__all__ = ["run"]

_FROM_SETTINGS = "Default: from the settings."


def run(
    session: Session,
    source: Annotated[Path, typer.Option("--input", "-i", help="Model folder in floating point.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to make.")],
    quant_type: Annotated[
        str | None,
        typer.Option(
            "--quant-type", metavar="int8|int4|int2|fp4", help=f"Type of the codes. {_FROM_SETTINGS}"
        ),
    ] = None,
    calibration: Annotated[
        str | None, typer.Option("--calibration", metavar="ptq|gptq|distill", help="How codes are found.")
    ] = None,
    symmetric: Annotated[
        bool | None,
        typer.Option("--symmetric/--asymmetric", help="Codes centred on zero, or a zero point per channel."),
    ] = None,
    activation: Annotated[
        str | None,
        typer.Option("--activation", metavar="auto|int16|int8|fp32", help="How activations meet the codes."),
    ] = None,
    group_size: Annotated[
        int | None,
        typer.Option("--group-size", metavar="16|32|64|128", help="Values of a row that share a scale."),
    ] = None,
    scale_type: Annotated[
        str | None,
        typer.Option("--scale-type", metavar="fp16|u8|e8m0|e4m3", help="How scales of groups are stored."),
    ] = None,
    zero_points: Annotated[
        bool | None, typer.Option("--zero-points/--no-zero-points", help="A zero point per group.")
    ] = None,
    pair_bound: Annotated[
        bool | None,
        typer.Option("--pair-bound/--no-pair-bound", help="Bound neighbouring symmetric int8 codes."),
    ] = None,
    act_order: Annotated[
        bool | None,
        typer.Option("--act-order/--no-act-order", help="gptq: columns with large inputs first."),
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", metavar="N", help="distill: of training.")] = None,
    table_type: Annotated[
        str | None, typer.Option("--table-type", metavar="int8|int4", help="Codes of embedding tables.")
    ] = None,
    size_budget: Annotated[
        int | None,
        typer.Option("--size-budget", metavar="BYTES", help="Size of all tensors; chooses widths."),
    ] = None,
    bits_budget: Annotated[
        float | None,
        typer.Option("--bits-budget", metavar="BITS", help="Bits per weight of matrices; chooses widths."),
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Of what is random.")] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option("--keep", metavar="NAME", help="Name or glob of what stays fp16; may be repeated."),
    ] = None,
    check_texts: Annotated[
        Path | None, typer.Option("--check-texts", help="Texts of the precision check, one per line.")
    ] = None,
    calibration_text: Annotated[
        Path | None,
        typer.Option("--calibration-text", help="Texts to calibrate on, one per line. Default: built in."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the folder if it exists.")] = False,
) -> None:
    chosen = {
        "quant_type": quant_type,
        "calibration": calibration,
        "symmetric": symmetric,
        "activation": activation,
        "group_size": group_size,
        "scale_type": scale_type,
        "zero_points": zero_points,
        "pair_bound": pair_bound,
        "act_order": act_order,
        "steps": steps,
        "table_type": table_type,
        "size_budget": size_budget,
        "bits_budget": bits_budget,
        "seed": seed,
        "keep": keep,
    }
    texts = PROBES if check_texts is None else read_texts([], check_texts)
    calibration_texts = None if calibration_text is None else read_texts([], calibration_text)
    quantizer = ArrowQuantizer(
        _configuration(session, chosen),
        embedder=embedder(session),
        observer=observer(),
        calibrator=calibrator(),
        texts=texts,
        calibration_texts=calibration_texts,
    )
    with session.progress() as progress:
        report = quantizer.quantize(source, output, force=force, progress=progress)
    session.show({"output": str(output), **report.to_dict()}, lambda: write(f"{output}\n{report}"))


def _configuration(session: Session, chosen: dict[str, Any]) -> QuantizationConfig:
    """The settings, under what the command line chose."""
    settings, precision = session.config.quantization, session.config.precision
    values = {
        "quant_type": settings.type,
        "calibration": settings.calibration,
        "symmetric": settings.symmetric,
        "activation": settings.activation,
        "smoothing": settings.smoothing,
        "keep": settings.keep,
        **{name: value for name, value in chosen.items() if value is not None},
    }
    return QuantizationConfig(
        **values,
        keep_type=settings.keep_type,
        # Thresholds that nobody set are those of the type of codes.
        cosine_mean=precision.cosine_mean if _is_set(session, "cosine_mean") else None,
        cosine_min=precision.cosine_min if _is_set(session, "cosine_min") else None,
        overlap_at_10=precision.overlap_at_10 if _is_set(session, "overlap_at_10") else None,
    )


def _is_set(session: Session, name: str) -> bool:
    return f"precision.{name}" in session.config.origins
