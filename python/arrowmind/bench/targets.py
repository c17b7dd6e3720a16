"""The numbers the project holds itself to, each with what was measured and whether it is reached."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind.bench.statistics import median_ratio

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from arrowmind.bench.race import Lane

__all__ = ["Verdict", "fastest_rows", "judge"]

INT8, FP32 = "arrowmind-int8", "arrowmind-fp32"
_RACING_PEERS = ("onnxruntime", "ctranslate2")  # those the ratios are taken against
_MEGA = 1e6
_GEMM_ROWS = 64  # rows of activations from which a product is bound by arithmetic


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
    return verdicts + _operators(operators)


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


def _operators(operators: Mapping[str, Any] | None) -> list[Verdict]:
    fastest = [] if operators is None else fastest_rows(operators["results"])
    int8 = [row for row in fastest if row["op"] == "qmatmul" and "_i8_" in row["kernel"] and row["limit"]]
    bandwidth = [row["share"] for row in int8 if row["limit"].startswith("read_")]
    products = [row for row in int8 if not row["limit"].startswith(("read_", "fma_"))]
    tall = [row["share"] for row in products if int(row["shape"].split("x")[0]) >= _GEMM_ROWS]
    return [
        _share("GEMV INT8", ">= 90 % of the read bandwidth", max(bandwidth, default=None), 0.90),
        _share("GEMM INT8", ">= 60 % of the integer peak", float(np.median(tall)) if tall else None, 0.60),
    ]


def fastest_rows(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The fastest kernel of each op, types of operands, shape and number of threads."""
    fastest: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    for row in rows:
        form = "_".join(row["kernel"].split("_")[:3])
        key = (row["op"], form, row["shape"], row["threads"])
        if key not in fastest or row["best_s"] < fastest[key]["best_s"]:
            fastest[key] = row
    return list(fastest.values())


def _share(what: str, text: str, share: float | None, target: float) -> Verdict:
    if share is None:
        return Verdict(what, text, "not measured", None)
    return Verdict(what, text, f"{100 * share:.0f} %", share >= target)
