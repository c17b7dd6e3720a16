"""Tables for people."""

from __future__ import annotations

import io

from rich.console import Console
from tests.bench.lanes import SENTENCES, TOKENS, kernel_row, lane

from arrowmind.bench.report import print_result
from arrowmind.bench.targets import Verdict


def printed(*lanes, verdicts=(), operators=None):
    result = {
        "hardware": {"cpu": "A processor", "cpus": 2, "load_1m": 0.25},
        "workload": {"sentences": SENTENCES, "tokens": TOKENS, "threads": 2},
        "operators": operators,
    }
    stream = io.StringIO()
    print_result(result, lanes, verdicts, Console(file=stream, width=150))
    return stream.getvalue()


def row(text, name):
    """Cells of the rows that begin with `name`, of all tables."""
    lines = [line for line in text.splitlines() if line.startswith(f"│ {name} ")]
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in lines]


def test_a_contender_has_its_figures_in_both_tables():
    speed, cost = row(printed(lane(rounds=[0.5, 1.0, 0.8])), "arrowmind-int8")
    assert speed[1:3] == ["125", "100-200"]
    assert [cell.split() for cell in speed[3:5]] == [["2.0"] * 3, ["20.0"] * 3]
    assert speed[5] == "50 %"
    assert cost[1:] == ["23.6", "0.23", "70", "90", "0.99960", "0.99850", "0.8203"]


def test_what_was_not_measured_is_a_dash():
    speed, cost = row(
        printed(lane(busy_rounds=[], quiet_rounds=[], fidelity={}, similarity={})), "arrowmind-int8"
    )
    assert speed[-1] == "-"
    assert cost[-3:] == ["-", "-", "-"]


def test_a_contender_that_failed_is_named_with_its_reason_and_has_no_row():
    text = printed(lane(), lane("onnxruntime-int8", error="[bench] it [bold]ended[/bold]"))
    assert "onnxruntime-int8: [bench] it [bold]ended[/bold]" in text
    assert row(text, "onnxruntime-int8") == []


def test_the_head_tells_machine_and_workload():
    head = printed(lane()).splitlines()[0]
    assert head == "A processor, 2 processors, load 0.2; 100 sentences, 4000 tokens; 2 threads"


def test_targets_pass_fail_or_stay_open():
    verdicts = [
        Verdict("a", ">= 1", "2", True),
        Verdict("b", ">= 1", "0", False),
        Verdict("c", ">= 1", "-", None),
    ]
    text = printed(lane(), verdicts=verdicts)
    assert [row(text, name)[0][-1] for name in "abc"] == ["pass", "FAIL", "-"]


def test_kernels_show_the_fastest_of_each_shape():
    rows = [kernel_row(), kernel_row("qmatmul_f32_i8_1x16_scalar", best_s=1.0)]
    text = printed(lane(), operators={"results": [*rows, kernel_row("norm_f32_avx2", op="norm", limit=None)]})
    assert row(text, "qmatmul_f32_i8_1x16_avx2") == [
        ["qmatmul_f32_i8_1x16_avx2", "1x384x384", "1", "10.0", "11.0", "29.5", "14.80", "92 % read_dram"]
    ]
    assert row(text, "qmatmul_f32_i8_1x16_scalar") == []
    assert row(text, "norm_f32_avx2")[0][-1] == ""
