"""The numbers the project holds itself to, each with what was measured and whether it is reached."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from arrowmind.bench.statistics import median_ratio

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from arrowmind.bench.race import Lane

__all__ = ["Verdict", "fastest_rows", "judge"]

INT8, FP32 = "arrowmind-int8", "arrowmind-fp32"
INT4, INT2 = "arrowmind-int4", "arrowmind-int2"
_RACING_PEERS = ("onnxruntime", "ctranslate2")  # those the ratios are taken against
_MEGA = 1e6


@dataclass(frozen=True)
class Verdict:
    """One number: what is asked for, what was measured; `reached` is None when nothing was measured."""

    what: str
    target: str
    measured: str
    reached: bool | None

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"what": self.what, "target": self.target, "measured": self.measured, "reached": self.reached}


def judge(
    lanes: Sequence[Lane], similarity: str | None, operators: Mapping[str, Any] | None
) -> list[Verdict]:
    """Hold what was measured against the numbers.

    Args:
        lanes: The contenders of one race.
        similarity: Name of the similarity task, if there was one.
        operators: What the kernel benchmark wrote, if it ran.
    """
    running = {lane.name: lane for lane in lanes if lane.error is None}
    verdicts: list[Verdict] = []
    if INT8 in running:
        verdicts += _int8(running[INT8], running)
    if FP32 in running:
        verdicts += _fp32(running[FP32], running)
    if INT8 in running and FP32 in running and similarity is not None:
        difference = running[INT8].similarity[similarity] - running[FP32].similarity[similarity]
        measured = f"{running[INT8].similarity[similarity]:.4f}, {difference:+.4f}"
        verdicts.append(
            Verdict(
                f"INT8 Spearman on {similarity}", "within 0.002 of FP32", measured, abs(difference) <= 0.002
            )
        )
    return verdicts + _widths(running) + _operators(operators)


def _int8(ours: Lane, lanes: Mapping[str, Lane]) -> list[Verdict]:
    cold = ours.cold
    resident = max(run["resident"] for run in cold) / _MEGA
    seconds = sorted(run["seconds"] for run in cold)[len(cold) // 2]
    return [
        _speed("INT8 sentences/s", ours, _peers(lanes, "int8"), 1.5),
        _at_least("INT8 mean cosine to FP32", ours.fidelity.get("cosine_mean"), 0.999),
        _at_least("INT8 smallest cosine to FP32", ours.fidelity.get("cosine_min"), 0.997),
        _short_latency(ours, _peers(lanes, "int8")),
        _at_most("INT8 file, MB", ours.weights_bytes / _MEGA, 24),
        _at_most("resident after the first embedding, MB", resident, 95),
        _at_most("process start to first embedding, s", seconds, 0.3),
        _neighbour(ours),
    ]


def _fp32(ours: Lane, lanes: Mapping[str, Lane]) -> list[Verdict]:
    return [
        _speed("FP32 sentences/s", ours, _peers(lanes, "fp32"), 1.2),
        _at_least("FP32 mean cosine to the reference", ours.fidelity.get("cosine_mean"), 0.99999, digits=7),
    ]


def _peers(lanes: Mapping[str, Lane], precision: str) -> list[Lane]:
    return [
        lane for name, lane in lanes.items() if lane.precision == precision and name.startswith(_RACING_PEERS)
    ]


def _speed(what: str, ours: Lane, peers: Sequence[Lane], target: float) -> Verdict:
    text = f">= {target} x the best peer"
    if not peers:
        return Verdict(what, text, "no peers", None)
    ratios = {peer.name: median_ratio(peer.rounds, ours.rounds) for peer in peers}
    best = min(ratios, key=lambda name: ratios[name])
    return Verdict(what, text, f"{ratios[best]:.2f} x {best}", ratios[best] >= target)


def _short_latency(ours: Lane, peers: Sequence[Lane]) -> Verdict:
    what, text = "INT8 latency of 16 tokens", "<= 0.8 x the best peer"
    if not peers:
        return Verdict(what, text, "no peers", None)
    medians = {lane.name: sorted(lane.short)[len(lane.short) // 2] for lane in (ours, *peers)}
    best = min((peer.name for peer in peers), key=lambda name: medians[name])
    ratio = medians[ours.name] / medians[best]
    return Verdict(what, text, f"{ratio:.2f} x {best} ({1e3 * medians[ours.name]:.2f} ms)", ratio <= 0.8)


def _neighbour(ours: Lane) -> Verdict:
    what, text = "speed kept beside a busy neighbour", ">= 45 %"
    if not ours.busy_rounds:
        return Verdict(what, text, "not measured", None)
    share = median_ratio(ours.quiet_rounds, ours.busy_rounds)
    return Verdict(what, text, f"{100 * share:.0f} %", share >= 0.45)


def _at_least(what: str, value: float | None, target: float, digits: int = 5) -> Verdict:
    measured = "not measured" if value is None else f"{value:.{digits}f}"
    return Verdict(what, f">= {target}", measured, None if value is None else value >= target)


def _at_most(what: str, value: float, target: float) -> Verdict:
    return Verdict(what, f"<= {target}", f"{value:.2f}", value <= target)


def _widths(lanes: Mapping[str, Lane]) -> list[Verdict]:
    """INT4 and INT2 against INT8, end to end; nothing where none of them took part."""
    verdicts = []
    for name, width in ((INT4, "INT4"), (INT2, "INT2")):
        if name in lanes and INT8 in lanes:
            ratio = median_ratio(lanes[INT8].rounds, lanes[name].rounds)
            verdicts.append(Verdict(f"{width} sentences/s", ">= 1 x INT8", f"{ratio:.2f} x", ratio >= 1))
    return verdicts


def _operators(operators: Mapping[str, Any] | None) -> list[Verdict]:
    rows = [] if operators is None else [row for row in operators["results"] if "width" in row]
    most = max((row["threads"] for row in rows), default=0)
    rows = [row for row in rows if row["threads"] == most]

    def figures(op: str, width: str, figure: str) -> list[float]:
        return [row[figure] for row in rows if (row["op"], row["width"]) == (op, width)]

    def speeds(width: str, reference: str) -> list[float]:
        """Of 256 rows, one for each shape: how many times as fast as another width."""
        times = zip(
            figures("gemm", width, "relative_to_int8"),
            figures("gemm", reference, "relative_to_int8"),
            strict=False,
        )
        return [ours / other for ours, other in times]

    bandwidth, peak = "of the read bandwidth", "of the integer peak"
    pairs, any_codes = "x INT8 in bounded pairs", "x INT8 in any codes"
    return [
        _shares("GEMV INT8", bandwidth, figures("gemv", "int8-paired", "share"), 0.92),
        _shares("GEMV INT4", bandwidth, figures("gemv", "int4", "share"), 0.90),
        _shares("GEMV INT2", bandwidth, figures("gemv", "int2", "share"), 0.80),
        _shares("GEMM INT8, 256 rows", peak, figures("gemm", "int8-paired", "share"), 0.70),
        _ratios("GEMM INT4, 256 rows", pairs, speeds("int4", "int8-paired"), 1.0),
        _ratios("GEMM INT2, 256 rows", any_codes, speeds("int2", "int8"), 1.3),
        _ratios("GEMM INT2 in groups of 128", pairs, speeds("int2-g128", "int8-paired"), 1.3),
    ]


def _shares(what: str, of: str, shares: Sequence[float], target: float) -> Verdict:
    """Shares of a limit, one for each shape: all must reach the target."""
    text = f">= {100 * target:.0f} % {of}"
    if not shares:
        return Verdict(what, text, "not measured", None)
    measured = " ".join(f"{100 * share:.0f}" for share in shares)
    return Verdict(what, text, f"{measured} %", min(shares) >= target)


def _ratios(what: str, of: str, ratios: Sequence[float], target: float) -> Verdict:
    text = f">= {target:g} {of}"
    if not ratios:
        return Verdict(what, text, "not measured", None)
    return Verdict(what, text, " ".join(f"{ratio:.2f}" for ratio in ratios) + " x", min(ratios) >= target)


def fastest_rows(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The fastest kernel of each op, types of operands, shape and number of threads."""
    fastest: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    for row in rows:
        form = "_".join(row["kernel"].split("_")[:3])
        key = (row["op"], form, row["shape"], row["threads"])
        if key not in fastest or row["best_s"] < fastest[key]["best_s"]:
            fastest[key] = row
    return list(fastest.values())
