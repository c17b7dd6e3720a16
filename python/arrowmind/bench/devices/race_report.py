"""Tables and targets of what is held against PyTorch and Hugging Face on the same device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from arrowmind.bench.targets import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["judge_large", "judge_race", "race_table", "tensor_words"]

# Of the rate for bf16, by products of so many rows and more.
_LARGE, _LARGE_ROWS = 0.60, 1024
_LARGE_WIDTHS = ("int8", "int8-int8", "int4", "int4-int8", "mxfp4", "mxfp4-int8")
# Of the time that reading the weights alone takes.
_ROOFLINE = 0.70
_WRITES_TIMES = 3.0


def tensor_words(tensor: Mapping[str, Any]) -> str:
    """What the rate for bf16 is, or why it is not known."""
    if "not_measured" in tensor:
        return f"not measured: {tensor['not_measured']}"
    return f"{tensor['operations_per_s'] / 1e12:.1f} Top/s ({tensor['name']})"


def judge_large(result: Mapping[str, Any]) -> list[Verdict]:
    """Large products beside the rate for bf16."""
    verdicts = []
    for width in _LARGE_WIDTHS:
        large = [one for one in result["products"] if one["width"] == width and one["rows"] >= _LARGE_ROWS]
        # Float32 by tensor cores is three products of bfloat16.
        large = [one for one in large if one["precision"] == "mixed"] or large
        if not large:
            continue
        what = f"{width}, {large[0]['precision']}, {_LARGE_ROWS} rows and more"
        target = f">= {100 * _LARGE:.0f} % of the bf16 rate"
        shares = [one["tensor_share"] for one in large]
        if None in shares:
            verdicts.append(Verdict(what, target, tensor_words(result["tensor"]), None))
        else:
            measured = " ".join(f"{100 * share:.0f}" for share in shares) + " %"
            verdicts.append(Verdict(what, target, measured, min(shares) >= _LARGE))
    return verdicts


def judge_race(name: str, race: Mapping[str, Any]) -> list[Verdict]:
    """One shape: no form is to be slower than Hugging Face, and writers are near what the memory gives."""
    verdicts = []
    who = "Hugging Face FP16" if race["writes"] else "Hugging Face FP16, torch.compile"
    for form, found in race["forms"].items():
        what = f"{name} {form}"
        if race["writes"]:
            share = found["roofline"]
            target = f">= {100 * _ROOFLINE:.0f} % of what the memory gives"
            verdicts.append(Verdict(what, target, f"{100 * share:.0f} %", share >= _ROOFLINE))
        verdicts.append(_beside(what, f">= 1 x {who}", found["ratio"], 1.0, race["peer"]))
    if race["writes"]:
        ratios = [one["ratio"] for one in race["forms"].values() if one["ratio"] is not None]
        best = max(ratios, default=None)
        target = f">= {_WRITES_TIMES:.0f} x {who}"
        verdicts.append(_beside(f"{name}, the fastest", target, best, _WRITES_TIMES, race["peer"]))
    return verdicts


def _beside(what: str, target: str, ratio: float | None, least: float, peer: Mapping[str, Any]) -> Verdict:
    if ratio is None:
        return Verdict(what, target, f"not measured: {peer['not_measured']}", None)
    return Verdict(what, target, f"{ratio:.2f} x", ratio >= least)


def race_table(races: Mapping[str, Mapping[str, Any]]) -> Table:
    """Speeds of shapes; under them why a peer has none."""
    reasons = {race["peer"].get("not_measured") for race in races.values()} - {None}
    table = Table(
        title="shapes with random weights, and Hugging Face in FP16 on the same device",
        caption=escape("; ".join(f"not measured: {reason}" for reason in sorted(reasons))) or None,
    )
    table.add_column("shape")
    table.add_column("form")
    for name in ("batch", "unit", "ours", "without graphs", "Hugging Face", "ratio", "of the memory"):
        table.add_column(name, justify="right")
    for name, race in races.items():
        peer = f"{race['peer']['rate']:.1f}" if "rate" in race["peer"] else "-"
        for form, found in race["forms"].items():
            table.add_row(
                name,
                form,
                str(race["batch"]),
                race["unit"],
                f"{found['rate']:.1f}",
                f"{found['without_graphs']:.1f}" if found.get("without_graphs") else "-",
                peer,
                "-" if found["ratio"] is None else f"{found['ratio']:.2f}",
                f"{100 * found['roofline']:.0f} %" if "roofline" in found else "-",
            )
    return table
