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
        *("GEMV INT8", "GEMV INT4", "GEMV INT2"),
        *("GEMM INT8, 256 rows", "GEMM INT4, 256 rows"),
        *("GEMM INT2, 256 rows", "GEMM INT2 in groups of 128"),
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


def raced(op, width, shape="1x896x4864", **values):
    row = {"op": op, "width": width, "shape": shape, "threads": 2, "relative_to_int8": 1.0, "limit": "x"}
    return kernel_row(f"qmatmul_{width}_avx2", **{**row, **values})


def test_kernels_are_judged_by_their_worst_shape_with_most_threads():
    rows = [
        raced("gemv", "int8-paired", share=0.93),
        raced("gemv", "int8-paired", "1x4096x11008", share=0.92),
        raced("gemv", "int8-paired", threads=1, share=0.1),
        raced("gemv", "int8", share=0.1),
        raced("gemv", "int4", share=0.95),
        raced("gemv", "int4", "1x4096x11008", share=0.89),
        raced("gemm", "int8-paired", share=0.7),
        raced("gemm", "int8", share=0.6, relative_to_int8=0.8),
        raced("gemm", "int4", share=0.1, relative_to_int8=0.99),
        raced("gemm", "int2", share=0.1, relative_to_int8=1.1),
        raced("gemm", "int2-g128", share=0.1, relative_to_int8=1.31),
        kernel_row("norm_f32_avx2", op="norm", share=0.99),
    ]
    judged = verdicts(operators={"results": rows})
    found = {what: (judged[what].measured, judged[what].reached) for what in judged}
    assert found["GEMV INT8"] == ("93 92 %", True)
    assert found["GEMV INT4"] == ("95 89 %", False)
    assert found["GEMV INT2"] == ("not measured", None)
    assert found["GEMM INT8, 256 rows"] == ("70 %", True)
    assert found["GEMM INT4, 256 rows"] == ("0.99 x", False)
    assert found["GEMM INT2, 256 rows"] == ("1.38 x", True)
    assert found["GEMM INT2 in groups of 128"] == ("1.31 x", True)


def test_widths_are_held_against_int8_where_they_took_part():
    judged = verdicts(lane(), lane("arrowmind-int4", "int4", rounds=[1.25] * 3))
    assert (judged["INT4 sentences/s"].measured, judged["INT4 sentences/s"].reached) == ("0.80 x", False)
    assert "INT2 sentences/s" not in judged


def test_the_fastest_kernel_of_each_form_shape_and_thread_count():
    slow, fast = kernel_row("qmatmul_f32_i8_1x16_avx2"), kernel_row("qmatmul_f32_i8_4x16_avx512", best_s=5e-6)
    float_weights = kernel_row("qmatmul_f32_f32_1x16_avx2")
    two_threads = kernel_row("qmatmul_f32_i8_1x16_avx2", threads=2)
    assert fastest_rows([slow, fast, float_weights, two_threads]) == [fast, float_weights, two_threads]
