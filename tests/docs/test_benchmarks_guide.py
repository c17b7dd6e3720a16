"""The page about benchmarks names the targets, limits and options that the code has."""

from __future__ import annotations

import re

import pytest
from tests.bench.lanes import lane
from tests.docs.pages import ROOT, table_rows

from arrowmind.bench.command import _compare_parser, _run_parser
from arrowmind.bench.comparison import Limits
from arrowmind.bench.race import RaceOptions
from arrowmind.bench.targets import judge

PAGE = "docs/guide/benchmarks.md"
TEXT = (ROOT / PAGE).read_text(encoding="utf-8")


def test_every_target_is_in_the_table():
    names = ("arrowmind-int8", "arrowmind-int4", "arrowmind-int2", "onnxruntime-int8")
    lanes = [lane(name) for name in names]
    floats = [lane("arrowmind-fp32", "fp32"), lane("onnxruntime-fp32", "fp32")]
    verdicts = judge([*lanes, *floats], "stsb", None)
    described = {(what, target) for what, target in table_rows(PAGE, "Targets")}
    assert described == {(verdict.what, verdict.target) for verdict in verdicts}


def test_the_limits_of_a_comparison():
    limits = Limits()
    assert f"more than {limits.speed:.0%}".replace("%", " %") in TEXT
    assert f"by more than {limits.size:.0%}".replace("%", " %") in TEXT.replace("\n", " ")
    assert f"by more than {limits.cosine}" in TEXT


def test_the_numbers_of_rounds():
    assert f"median over {RaceOptions.rounds} rounds" in TEXT
    assert f"median of {RaceOptions.cold_starts}" in TEXT


def test_every_option_exists():
    known = {name for parser in (_run_parser(), _compare_parser()) for name in parser._option_string_actions}
    other = {"--op", "--filter"}  # those of bench_kernels
    assert set(re.findall(r"--[a-z][a-z-]+", TEXT)) <= known | other


@pytest.mark.parametrize("target", ["bench", "bench-kernels"])
def test_the_make_targets_exist(target):
    assert f"make {target}" in TEXT
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
