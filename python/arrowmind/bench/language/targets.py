"""What language models are held to, each number with what was measured and whether it is reached."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from arrowmind.bench.statistics import median_ratio
from arrowmind.bench.targets import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from arrowmind.bench.language.race import LanguageLane, LanguageRace

__all__ = ["judge_language"]

_INT8 = "arrowmind-int8"
_DECODE = (  # ours, what it is called, against which, at least this much faster
    (_INT8, "INT8", "llama.cpp-Q8_0", 1.4),
    ("arrowmind-int4", "INT4, groups of 32", "llama.cpp-Q4_0", 1.6),
    ("arrowmind-int4-head4", "INT4, groups of 32, head INT4", "llama.cpp-Q4_0", 1.6),
    ("arrowmind-int2-g32", "INT2, groups of 32", "llama.cpp-Q2_K", 2.4),
    ("arrowmind-int2-g64", "INT2, groups of 64", "llama.cpp-Q2_K", 2.4),
    ("arrowmind-int2-g32-head4", "INT2, groups of 32, head INT4", "llama.cpp-Q2_K", 2.4),
    ("arrowmind-int2-g64-head4", "INT2, groups of 64, head INT4", "llama.cpp-Q2_K", 2.4),
    ("arrowmind-int2-g32-head2", "INT2, groups of 32, head INT2", "llama.cpp-Q2_K", 2.4),
    ("arrowmind-int2-g64-head2", "INT2, groups of 64, head INT2", "llama.cpp-Q2_K", 2.4),
)
_CODED = tuple(name for name, _, _, _ in _DECODE)
_SHARE, _PREFILL = 0.8, 1.8
_PREFILL_PEERS = ("llama.cpp-F16", "llama.cpp-Q8_0", "llama.cpp-Q4_0")
# Random weights pass every error on: Q8_0, whose scales serve 32 codes each, is at 0.999 here.
_ANSWERS = {"arrowmind-fp16": 0.9999, _INT8: 0.99}


def judge_language(race: LanguageRace) -> list[Verdict]:
    """Hold what was measured against the numbers; of contenders that did not run nothing is said."""
    running = {lane.name: lane for lane in race.lanes if lane.error is None}
    verdicts = [
        _faster(f"decoding, {what}", running[name].decode, running.get(peer), peer, target)
        for name, what, peer, target in _DECODE
        if name in running
    ]
    verdicts += [_share(race, running[name], what) for name, what, _, _ in _DECODE if name in running]
    if any(name in running for name in _CODED):
        verdicts.append(_prefill(running))
    return verdicts + [
        _answers(running[name], race.reference, least) for name, least in _ANSWERS.items() if name in running
    ]


def _faster(what: str, ours: list[float], peer: LanguageLane | None, name: str, target: float) -> Verdict:
    text = f">= {target} x {name}"
    if peer is None:
        return Verdict(what, text, "no peer", None)
    ratio = median_ratio(peer.decode, ours)
    return Verdict(what, text, f"{ratio:.2f} x", ratio >= target)


def _share(race: LanguageRace, lane: LanguageLane, what: str) -> Verdict:
    share = race.share(lane)
    text = f">= {100 * _SHARE:.0f} % of the read bandwidth"
    return Verdict(f"decoding, {what}", text, f"{100 * share:.0f} %", share >= _SHARE)


def _prefill(lanes: Mapping[str, LanguageLane]) -> Verdict:
    """Our fastest width whose matrices meet 8-bit activations, against their fastest."""
    what, text = "prompt, INT8 activations", f">= {_PREFILL} x the best of F16, Q8_0 and Q4_0"
    ours = min((name for name in _CODED if name in lanes), key=lambda name: median(lanes[name].prefill))
    ratios = {
        name: median_ratio(lanes[name].prefill, lanes[ours].prefill)
        for name in _PREFILL_PEERS
        if name in lanes
    }
    if not ratios:
        return Verdict(what, text, "no peer", None)
    best = min(ratios, key=lambda name: ratios[name])
    return Verdict(what, text, f"{ours}: {ratios[best]:.2f} x {best}", ratios[best] >= _PREFILL)


def _answers(lane: LanguageLane, reference: str | None, least: float) -> Verdict:
    what, text = f"answers of {lane.name}", f"cosine >= {least} to {reference or 'a reference'}"
    cosine = lane.fidelity.get("cosine")
    measured = "not compared" if cosine is None else f"{cosine:.5f}"
    return Verdict(what, text, measured, None if cosine is None else cosine >= least)
