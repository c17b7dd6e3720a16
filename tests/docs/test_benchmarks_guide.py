"""The page about benchmarks names the targets, limits and options that the code has."""

from __future__ import annotations

import re

import pytest
from tests.bench.lanes import lane
from tests.bench.language.small import lane as language_lane
from tests.bench.language.small import race as language_race
from tests.docs.pages import ROOT, table_rows

from arrowmind.bench.command import _compare_parser, _run_parser
from arrowmind.bench.comparison import Limits
from arrowmind.bench.devices.command import _parser as _device_parser
from arrowmind.bench.language.command import _parser as _language_parser
from arrowmind.bench.language.contenders import ROWS
from arrowmind.bench.language.race import LanguageOptions
from arrowmind.bench.language.targets import judge_language
from arrowmind.bench.memory.command import _parser as _memory_parser
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
    parsers = (_run_parser(), _compare_parser(), _language_parser(), _memory_parser(), _device_parser())
    known = {name for parser in parsers for name in parser._option_string_actions}
    other = {"--op", "--filter", "--shape", "--ram", "--format"}  # of other programs and commands
    assert set(re.findall(r"--[a-z][a-z-]+", TEXT)) <= known | other


def test_every_target_of_language_models_is_in_the_table():
    verdicts = judge_language(language_race(*map(language_lane, ROWS)))
    described = {(what, target) for what, target in table_rows(PAGE, "Targets of language models")}
    assert described == {(verdict.what, verdict.target) for verdict in verdicts}
    assert f"{LanguageOptions.rounds} rounds" in TEXT
    assert f"{LanguageOptions.tokens} tokens" in TEXT


@pytest.mark.parametrize("target", ["bench", "bench-kernels", "bench-llm"])
def test_the_make_targets_exist(target):
    assert f"make {target}" in TEXT
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
