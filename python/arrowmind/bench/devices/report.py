"""Tables and targets of `arrowmind bench gpu`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from arrowmind.bench.devices.race_report import judge_large, judge_race, race_table, tensor_words
from arrowmind.bench.report import target_table
from arrowmind.bench.targets import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["judge", "print_result"]

_WIDTH = 120
# Share of the memory bandwidth: of one row, and of sixteen.
_ONE_ROW = {"int8": 0.85, "int4": 0.85, "mxfp4": 0.80, "int2": 0.70}
_SIXTEEN_ROWS = {"int4": 0.70}
# Of the slower of disk and bus.
_TRANSFER = 0.85


def judge(result: Mapping[str, Any]) -> list[Verdict]:
    """The numbers asked for; they are for cards with memory of their own."""
    if result["device"]["is_software"] or result["device"]["shares_host_memory"]:
        return []
    verdicts: list[Verdict] = []
    for rows, goals in ((1, _ONE_ROW), (16, _SIXTEEN_ROWS)):
        for width, goal in goals.items():
            verdicts += _judge_few(result["products"], width, rows, goal)
    verdicts += judge_large(result)
    for name, race in result.get("races", {}).items():
        verdicts += judge_race(name, race)
    if transfer := result.get("transfer"):
        share = transfer["share"]
        target = f">= {100 * _TRANSFER:.0f} % of the slower of disk and bus"
        verdicts.append(
            Verdict("file to device, overlapped", target, f"{100 * share:.0f} %", share >= _TRANSFER)
        )
    return verdicts


def _judge_few(
    products: Sequence[Mapping[str, Any]], width: str, rows: int, goal: float
) -> Iterator[Verdict]:
    """Weights of a width that meet floats, in mixed precision where there is one, and that meet codes."""
    for path in (width, f"{width}-int8"):
        few = [one for one in products if one["width"] == path and one["rows"] == rows]
        few = [one for one in few if one["precision"] == "mixed"] or few
        if not few:
            continue
        measured = " ".join(f"{100 * one['share']:.0f}" for one in few) + " %"
        precision = ", mixed" if few[0]["precision"] == "mixed" else ""
        what = f"{path}{precision}, {rows} row{'s' if rows > 1 else ''}"
        target = f">= {100 * goal:.0f} % of the memory bandwidth"
        yield Verdict(what, target, measured, min(one["share"] for one in few) >= goal)


def print_result(
    result: Mapping[str, Any], verdicts: Sequence[Verdict], console: Console | None = None
) -> None:
    """Prints everything a run measured."""
    shown = console or Console(width=_WIDTH)
    device, limits = result["device"], result["limits"]
    software = ", computes on the CPU" if device["is_software"] else ""
    shown.print(
        f"{device['key']}: {device['name']}, driver {device['driver'] or '-'}{software}", markup=False
    )
    rates = ", ".join(f"{what.replace('_', ' ')} {rate / 1e9:.1f}" for what, rate in limits.items())
    shown.print(f"GB/s: {rates}", markup=False)
    if tensor := result.get("tensor"):
        shown.print(f"bf16 products: {tensor_words(tensor)}", markup=False)
    if transfer := result.get("transfer"):
        both, disk, bus = (f"{transfer[side] / 1e9:.2f}" for side in ("both", "disk", "bus"))
        share = f"{100 * transfer['share']:.0f} % of the slower"
        shown.print(f"file to device, overlapped: {both} GB/s; disk {disk}, bus {bus}: {share}", markup=False)
    if result["products"]:
        shown.print(_products(result["products"]))
    for one in result.get("absent", ()):
        shown.print(f"not there: {one['width']}, {one['precision']}: {one['why']}", markup=False)
    if choices := result.get("choices"):
        shown.print(_choices(choices))
    if result["models"]:
        shown.print(_models(result["models"]))
    if races := result.get("races"):
        shown.print(race_table(races))
    if verdicts:
        shown.print(target_table(verdicts))


def _products(products: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(title="products, checked against the CPU")
    table.add_column("width")
    table.add_column("kernel")
    for name in ("rows x outputs x inputs", "us", "GB/s", "Gop/s", "of the memory", "of bf16"):
        table.add_column(name, justify="right")
    for one in products:
        table.add_row(
            one["width"],
            one["kernel"],
            f"{one['rows']} x {one['outputs']} x {one['inputs']}",
            f"{1e6 * one['seconds']:.1f}",
            f"{one['bytes_per_s'] / 1e9:.1f}",
            f"{one['operations_per_s'] / 1e9:.1f}",
            f"{100 * one['share']:.0f} %",
            f"{100 * share:.0f} %" if (share := one["tensor_share"]) is not None else "-",
        )
    return table


def _choices(choices: Sequence[Mapping[str, Any]]) -> Table:
    reasons = {one["why"] for one in choices} - {""}
    table = Table(
        title="choices from rows of logits, checked against NumPy",
        caption=escape("; ".join(f"not measured: {reason}" for reason in sorted(reasons))) or None,
    )
    table.add_column("kernel")
    for name in ("rows x vocabulary", "us", "GB/s", "of the memory"):
        table.add_column(name, justify="right")
    for one in choices:
        figures = ("-", "-", "-")
        if not one["why"]:
            speed, share = one["bytes_per_s"], one["share"]
            figures = (f"{1e6 * one['seconds']:.1f}", f"{speed / 1e9:.1f}", f"{100 * share:.0f} %")
        table.add_row(one["kernel"], f"{one['rows']} x {one['vocabulary']}", *figures)
    return table


def _models(models: Mapping[str, Mapping[str, Any]]) -> Table:
    table = Table(title="models, in turn with the CPU")
    table.add_column("model")
    for name in ("unit", "device", "CPU", "ratio", "agreement"):
        table.add_column(name, justify="right")
    for name, one in models.items():
        table.add_row(
            name,
            one["unit"],
            f"{one['device']:.1f}",
            f"{one['cpu']:.1f}",
            f"{one['ratio']:.2f}",
            f"{one['agreement']:.5f}",
        )
    return table
