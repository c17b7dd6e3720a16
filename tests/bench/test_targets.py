"""Holding what was measured against what is asked for."""

from __future__ import annotations

import pytest
from tests.bench.lanes import kernel_row, lane

from arrowmind.bench.targets import fastest_rows, judge

SPEED, LATENCY = "INT8 sentences/s", "INT8 latency of 16 tokens"


def verdicts(*lanes, similarity=None, operators=None):
    return {verdict.what: verdict for verdict in judge(lanes, similarity, operators)}


def peer(name="onnxruntime-int8", seconds=1.6, short=0.004, precision="int8"):
    return lane(name, precision, rounds=[seconds] * 3, short=[short] * 5)


def fp32(**values):
    return lane("arrowmind-fp32", "fp32", **{"fidelity": {"cosine_mean": 0.999999}, **values})


def test_everything_reached():
    judged = verdicts(
        lane(), fp32(), peer(), peer("onnxruntime-fp32", 1.3, precision="fp32"), similarity="stsb"
    )
    assert {what for what, verdict in judged.items() if verdict.reached is not True} == {
        "GEMV INT8",
        "GEMM INT8",
    }
    assert judged["GEMV INT8"].reached is None
    assert judged["GEMV INT8"].measured == "not measured"


@pytest.mark.parametrize(
    ("what", "values"),
    [
        ("INT8 mean cosine to FP32", {"fidelity": {"cosine_mean": 0.9989, "cosine_min": 0.998}}),
        ("INT8 smallest cosine to FP32", {"fidelity": {"cosine_mean": 0.9999, "cosine_min": 0.9969}}),
        ("INT8 file, MB", {"weights_bytes": 24_000_001}),
        ("resident after the first embedding, MB", {"cold": [{"seconds": 0.2, "resident": 95.1e6}]}),
        ("process start to first embedding, s", {"cold": [{"seconds": 0.31, "resident": 70e6}] * 3}),
        ("speed kept beside a busy neighbour", {"busy_rounds": [2.3, 2.3]}),
        (SPEED, {"rounds": [1.1] * 3}),
        (LATENCY, {"short": [0.0033] * 5}),
    ],
)
def test_each_target_is_missed_alone(what, values):
    missed = [
        verdict.what for verdict in judge([lane(**values), peer()], None, None) if verdict.reached is False
    ]
    assert missed == [what]


def test_the_best_peer_counts_and_is_named():
    judged = verdicts(lane(), peer(seconds=3.0, short=0.003), peer("ctranslate2-int8", 1.4, short=0.009))
    assert judged[SPEED].reached is False
    assert judged[SPEED].measured == "1.40 x ctranslate2-int8"
    assert judged[LATENCY].measured.startswith("0.67 x onnxruntime-int8")


def test_peers_of_other_precision_or_outside_the_race_or_broken_do_not_count():
    broken = lane("ctranslate2-int8", error="it ended")
    others = [peer(precision="fp32", name="onnxruntime-fp32"), peer("sentence-transformers-int8"), broken]
    judged = verdicts(lane(), *others)
    assert (judged[SPEED].measured, judged[SPEED].reached) == ("no peers", None)
    assert (judged[LATENCY].measured, judged[LATENCY].reached) == ("no peers", None)


def test_a_disturbed_round_disturbs_both():
    ours, theirs = lane(rounds=[1.0, 1.0, 9.0]), lane("onnxruntime-int8", rounds=[1.6, 1.6, 14.4])
    assert verdicts(ours, theirs)[SPEED].measured == "1.60 x onnxruntime-int8"


@pytest.mark.parametrize(
    ("score", "reached"), [(0.8184, True), (0.8182, False), (0.8222, True), (0.8224, False)]
)
def test_similarity_may_differ_by_0_002_either_way(score, reached):
    judged = verdicts(lane(similarity={"stsb": score}), fp32(), similarity="stsb")
    assert judged["INT8 Spearman on stsb"].reached is reached


def test_what_was_not_measured_is_neither_reached_nor_missed():
    judged = verdicts(lane(fidelity={}, busy_rounds=[], quiet_rounds=[]))
    for what in ("INT8 mean cosine to FP32", "speed kept beside a busy neighbour", SPEED):
        assert judged[what].reached is None
    assert judged[SPEED].to_dict() == {
        "what": SPEED,
        "target": ">= 1.5 x the best peer",
        "measured": "no peers",
        "reached": None,
    }


def test_our_own_failure_leaves_no_verdict_of_it():
    assert SPEED not in verdicts(lane(error="it ended"), peer())


def test_kernels():
    slower = kernel_row("qmatmul_f32_i8_1x16_scalar", best_s=1e-3, share=0.1)
    low = kernel_row("qmatmul_i16_i8_4x16_avx2", "64x384x384", limit="int16_peak", share=0.5)
    high = kernel_row("qmatmul_i16_i8_4x16_avx2", "128x384x1536", limit="int16_peak", share=0.8)
    short = kernel_row("qmatmul_i16_i8_4x16_avx2", "16x384x384", limit="int16_peak", share=0.1)
    other = kernel_row("norm_f32_avx2", op="norm", share=0.99)
    judged = verdicts(operators={"results": [slower, kernel_row(), low, high, short, other]})
    assert (judged["GEMV INT8"].measured, judged["GEMV INT8"].reached) == ("92 %", True)
    assert (judged["GEMM INT8"].measured, judged["GEMM INT8"].reached) == ("65 %", True)


def test_the_fastest_kernel_of_each_form_shape_and_thread_count():
    slow, fast = kernel_row("qmatmul_f32_i8_1x16_avx2"), kernel_row("qmatmul_f32_i8_4x16_avx512", best_s=5e-6)
    float_weights = kernel_row("qmatmul_f32_f32_1x16_avx2")
    two_threads = kernel_row("qmatmul_f32_i8_1x16_avx2", threads=2)
    assert fastest_rows([slow, fast, float_weights, two_threads]) == [fast, float_weights, two_threads]
