"""Show what a model is made of: each tensor's format, true bits and error, totals, and the certificate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arrowmind.cli.render import bytes_text, print_table, write
from arrowmind.cli.session import Session
from arrowmind.quantize.explanation import explain
from arrowmind.quantize.measures import MEASURES

if TYPE_CHECKING:
    from arrowmind.quantize.explanation import Certificate, Explanation, TensorExplanation, Total

__all__ = ["run"]

_BY_NAME = {measure.name: measure for measure in MEASURES}
_HEADERS = ("shape", "type", "group", "scales", "zeros", "layout", "act", "bits", "bytes", "error", "tensor")


def run(
    session: Session,
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Model folder or weight file.")],
) -> None:
    explanation = explain(model)
    session.show(explanation.to_dict(), lambda: _print(explanation))


def _print(explanation: Explanation) -> None:
    write(f"{explanation.path} ({explanation.kind})\n")
    print_table((_row(tensor) for tensor in explanation.tensors), _HEADERS)
    write()
    totals = (
        ("all", explanation.total),
        (_rest(explanation), explanation.without_tables),
        *explanation.parts.items(),
    )
    print_table((_total(what, total) for what, total in totals), ("", "tensors", "weights", "bytes", "bits"))
    write()
    if explanation.certificate is None:
        write("no certificate: these weights carry no report of a precision check")
        return
    print_table(_certificate(explanation.certificate))


def _rest(explanation: Explanation) -> str:
    return f"without embedding tables{' and head' if 'head' in explanation.parts else ''}"


def _row(tensor: TensorExplanation) -> tuple[str, ...]:
    group = {None: "-", 0: "row"}.get(tensor.group_size, str(tensor.group_size))
    return (
        "x".join(map(str, tensor.shape)) or "-",
        tensor.quant_type,
        group,
        tensor.scale_type or "-",
        "yes" if tensor.zero_points else "-",
        tensor.layout,
        tensor.activation,
        f"{tensor.bits_per_weight:.3f}",
        str(tensor.bytes),
        "-" if tensor.error is None else f"{tensor.error:.5f}",
        tensor.name,
    )


def _total(what: str, total: Total) -> tuple[str, ...]:
    size = f"{total.bytes} ({bytes_text(total.bytes)})"
    return what, str(total.tensors), str(total.weights), size, f"{total.bits_per_weight:.3f}"


def _certificate(certificate: Certificate) -> list[tuple[str, str]]:
    figures = [
        (name, f"{_figure(value)} ({_BY_NAME[name].demand(format(certificate.thresholds[name], 'g'))})")
        for name, value in certificate.figures.items()
    ]
    texts = f"sha256 {certificate.calibration_sha256}" if certificate.calibration_sha256 else "none were read"
    checked = certificate.candidate or "unknown"
    return [
        ("certificate", f"{certificate.verdict} ({certificate.finished}, {certificate.texts} texts)"),
        *figures,
        ("method", f"{certificate.method}, seed {certificate.seed}" if certificate.method else "unknown"),
        ("calibration texts", texts if certificate.method else "unknown"),
        *(("made wider", f"{name}: {change}") for name, change in certificate.swapped.items()),
        ("original", certificate.reference or "unknown"),
        ("checked", checked if certificate.is_of_these_weights else f"{checked}: NOT these weights"),
    ]


def _figure(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.6f}"
