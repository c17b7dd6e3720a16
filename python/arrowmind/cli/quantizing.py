"""The options of `arrowmind quantize`, in groups, and the configuration they make with the settings.

A field is called as its field of `QuantizationConfig`; None leaves the choice to settings and defaults.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path  # noqa: TC003  typer evaluates annotations
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arrowmind.cli.groups import OptionGroup
from arrowmind.quantize import QuantizationConfig, Thresholds

if TYPE_CHECKING:
    from arrowmind.config import Config

__all__ = [
    "BudgetOptions",
    "CheckOptions",
    "CodeOptions",
    "MethodOptions",
    "TextOptions",
    "configuration",
]

_FROM_SETTINGS = "Default: from the settings."


@dataclass(frozen=True)
class CodeOptions(OptionGroup):
    """What numbers become."""

    title = "Codes"
    quant_type: Annotated[
        str | None,
        typer.Option(
            "--quant-type",
            metavar="int8|int4|int2|fp4|trellis2|trellis3",
            help=f"Type of the codes. {_FROM_SETTINGS}",
        ),
    ] = None
    group_size: Annotated[
        int | None,
        typer.Option(
            "--group-size", metavar="0|16|32|64|128", help="Values of a row that share a scale; 0: all."
        ),
    ] = None
    scale_type: Annotated[
        str | None,
        typer.Option(
            "--scale-type",
            metavar="fp16|u8|e8m0|e4m3|fp32",
            help="How scales of groups are stored; rows: fp32.",
        ),
    ] = None
    zero_points: Annotated[
        bool | None, typer.Option("--zero-points/--no-zero-points", help="A zero point per group.")
    ] = None
    symmetric: Annotated[
        bool | None,
        typer.Option("--symmetric/--asymmetric", help="int8: codes centred on zero, or zero points."),
    ] = None
    per_channel: Annotated[
        bool | None,
        typer.Option("--per-channel/--per-tensor", help="int8: a scale per row, or one per matrix."),
    ] = None
    pair_bound: Annotated[
        bool | None,
        typer.Option("--pair-bound/--no-pair-bound", help="Bind symmetric int8 codes together."),
    ] = None
    bound_columns: Annotated[
        int | None,
        typer.Option("--bound-columns", metavar="2|4", help="So many: 4 is faster on AVX2, 2 loses less."),
    ] = None
    activation: Annotated[
        str | None,
        typer.Option("--activation", metavar="auto|int16|int8|fp32", help="How activations meet the codes."),
    ] = None
    table_type: Annotated[
        str | None,
        typer.Option("--table-type", metavar="int8|int4|int2", help="Codes of embedding tables and heads."),
    ] = None
    keep: Annotated[
        list[str] | None,
        typer.Option("--keep", metavar="NAME", help="Name or glob of what stays floating; may be repeated."),
    ] = None
    keep_type: Annotated[
        str | None, typer.Option("--keep-type", metavar="fp16|fp32", help="Type of what stays floating.")
    ] = None
    vector_type: Annotated[
        str | None, typer.Option("--vector-type", metavar="int8|fp16|fp32", help="Type of biases and norms.")
    ] = None


@dataclass(frozen=True)
class MethodOptions(OptionGroup):
    """How codes are found."""

    title = "Method"

    calibration: Annotated[
        str | None, typer.Option("--calibration", metavar="ptq|gptq|distill", help="How codes are found.")
    ] = None
    range_search: Annotated[
        bool | None,
        typer.Option("--range-search/--no-range-search", help="int8 by ptq: clip where that is closer."),
    ] = None
    smoothing: Annotated[
        float | None,
        typer.Option(
            "--smoothing", metavar="0..1", help="How much of what inputs vary by moves to matrices."
        ),
    ] = None
    damping: Annotated[
        float | None,
        typer.Option("--damping", metavar="0..1", help="gptq: added to the moments, a part of their mean."),
    ] = None
    act_order: Annotated[
        bool | None,
        typer.Option("--act-order/--no-act-order", help="gptq: columns with large inputs first."),
    ] = None
    sweeps: Annotated[
        int | None, typer.Option("--sweeps", metavar="N", help="gptq: of coordinate descent afterwards.")
    ] = None
    steps: Annotated[int | None, typer.Option("--steps", metavar="N", help="distill: of training.")] = None
    seed: Annotated[int | None, typer.Option("--seed", metavar="N", help="Of what is random.")] = None


@dataclass(frozen=True)
class BudgetOptions(OptionGroup):
    """How many bytes there are; widths are then chosen per tensor."""

    title = "Budget"

    size_budget: Annotated[
        int | None,
        typer.Option("--size-budget", metavar="BYTES", help="Size of all tensors; chooses widths."),
    ] = None
    bits_budget: Annotated[
        float | None,
        typer.Option(
            "--bits-budget",
            metavar="BITS",
            help="Bits per weight of all but embeddings and head; chooses widths.",
        ),
    ] = None


@dataclass(frozen=True)
class CheckOptions(OptionGroup):
    """What happens when the result is not close enough; thresholds are in the section `precision`."""

    title = "Check"

    swap: Annotated[
        bool | None,
        typer.Option("--swap/--no-swap", help="Below a threshold: make the worst tensors wider until above."),
    ] = None


@dataclass(frozen=True)
class TextOptions(OptionGroup):
    """What models are run on."""

    title = "Texts"

    calibration_text: Annotated[
        Path | None,
        typer.Option("--calibration-text", help="Texts to calibrate on, one per line. Default: built in."),
    ] = None
    check_texts: Annotated[
        Path | None, typer.Option("--check-texts", help="Texts of the precision check, one per line.")
    ] = None


def configuration(settings: Config, *groups: OptionGroup) -> QuantizationConfig:
    """The settings, under what the command line chose.

    Args:
        settings: of the command.
        groups: whose fields are those of the configuration.

    Raises:
        InvalidArgumentError: a choice is not served, or does not go with another.
    """
    stored = settings.quantization
    values: dict[str, Any] = {
        "quant_type": stored.type,
        **{name: getattr(stored, name) for name in ("calibration", "symmetric", "activation")},
        **{
            name: getattr(stored, name)
            for name in ("smoothing", "keep", "keep_type", "vector_type", "on_failure")
        },
    }
    # Thresholds that nobody set are those of the type of codes.
    for name in (item.name for item in fields(Thresholds)):
        if f"precision.{name}" in settings.origins:
            values[name] = getattr(settings.precision, name)
    chosen = {name: value for group in groups for name, value in vars(group).items() if value is not None}
    if "swap" in chosen:
        chosen["on_failure"] = "swap" if chosen.pop("swap") else "refuse"
    return QuantizationConfig(**values | chosen)
