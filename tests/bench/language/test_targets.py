"""Numbers and verdicts."""

from __future__ import annotations

import pytest
from tests.bench.language.small import lane, race

from arrowmind.bench.language.targets import judge_language


def verdicts(*lanes):
    return {(one.what, one.target): one for one in judge_language(race(*lanes))}


@pytest.mark.parametrize(
    ("ours", "peer", "least"),
    [
        ("int8", "Q8_0", 1.4),
        ("int4", "Q4_0", 1.6),
        ("int2-g32", "Q2_K", 2.4),
        ("int2-g64", "Q2_K", 2.4),
        ("int2-g32-head2", "Q2_K", 2.4),
    ],
)
def test_decoding_is_held_against_the_peer_of_the_same_width(ours, peer, least):
    def reached(times):
        found = verdicts(lane(f"arrowmind-{ours}", 10.0), lane(f"llama.cpp-{peer}", 10.0 * times))
        (verdict,) = (one for (_, target), one in found.items() if target == f">= {least} x llama.cpp-{peer}")
        assert verdict.measured == f"{times:.2f} x"
        return verdict.reached

    assert reached(least + 0.01)
    assert not reached(least - 0.01)


def test_the_share_of_the_bandwidth():
    # 100 MB a token, 11 GB/s
    for milliseconds, reached in ((11.3, True), (11.5, False)):
        found = verdicts(lane("arrowmind-int8", milliseconds))
        assert found["decoding, INT8", ">= 80 % of the read bandwidth"].reached is reached


def test_the_prompt_is_held_against_the_best_of_three():
    peers = [
        lane(f"llama.cpp-{form}", prefill=[seconds] * 2) for form, seconds in (("F16", 1.9), ("Q8_0", 3))
    ]
    ours = lane("arrowmind-int8", prefill=[1.2] * 2), lane("arrowmind-int4")
    (verdict,) = (one for (what, _), one in verdicts(*ours, *peers).items() if what.startswith("prompt"))
    assert verdict.measured == "arrowmind-int4: 1.90 x llama.cpp-F16"
    assert verdict.reached


def test_without_a_peer_nothing_is_said_of_ratios():
    found = verdicts(lane("arrowmind-int8"), lane("llama.cpp-Q8_0", error="it died"))
    assert found["decoding, INT8", ">= 1.4 x llama.cpp-Q8_0"].reached is None
    assert found["prompt, INT8 activations", ">= 1.8 x the best of F16, Q8_0 and Q4_0"].measured == "no peer"


def test_answers_must_be_near_the_reference():
    def reached(cosine):
        found = verdicts(lane("arrowmind-int8", fidelity={"cosine": cosine, "same_token": 1.0}))
        return found["answers of arrowmind-int8", "cosine >= 0.99 to llama.cpp-F16"].reached

    assert reached(0.9995)
    assert not reached(0.98)
    found = verdicts(lane("arrowmind-fp16", fidelity={}))
    assert found["answers of arrowmind-fp16", "cosine >= 0.9999 to llama.cpp-F16"].reached is None
