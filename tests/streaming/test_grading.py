"""Which blocks are kept how: marks, then patterns, then how rare they are."""

from __future__ import annotations

import numpy as np
import pytest

from arrowmind.errors import InvalidArgumentError
from arrowmind.streaming import Grader, GradingRules, TermCounts, block_terms
from arrowmind.streaming.grading import check_grade

RNG = np.random.default_rng(8)


def grader(**rules):
    return Grader(GradingRules(**rules), TermCounts())


def usual(number=0):
    """A block of a text whose blocks differ a little."""
    tokens = np.arange(32)
    tokens[number % 32] = 40 + number % 7
    return block_terms(tokens)


def settled(**rules):
    made = grader(**rules)
    for number in range(60):
        made.grade(usual(number))
    return made


def test_what_is_rare_stays_exact_and_what_was_there_is_reduced():
    assert settled().grade(block_terms(RNG.integers(100, 10_000, 32))) == "exact"
    assert settled().grade(block_terms(np.arange(32))) == "reduced"
    assert settled().grade(usual(11)) == "quantised"
    assert settled(exact_above=1e9).grade(block_terms(RNG.integers(100, 10_000, 32))) == "quantised"
    assert settled(exact_above=1e9, reduced_below=1e9).grade(usual()) == "reduced"


def test_the_first_blocks_are_neither():
    made = grader()
    found = {made.grade(block_terms(RNG.integers(0, 10_000, 32))) for _ in range(30)}
    assert found == {"quantised"}


def test_marks_come_before_patterns_and_patterns_before_the_score():
    made = settled(keep=("[0-9]{4}", "password"))
    assert made.needs_text
    assert made.grade(block_terms(np.arange(32)), text="no code") == "reduced"
    assert made.grade(block_terms(np.arange(32)), text="the code is 4711") == "exact"
    assert made.grade(block_terms(np.arange(32)), "quantised", "password") == "quantised"
    assert made.grade(block_terms(RNG.integers(100, 10_000, 32)), "reduced") == "reduced"
    assert not grader().needs_text


def test_rules_that_cannot_be():
    with pytest.raises(InvalidArgumentError, match="must not be above"):
        GradingRules(exact_above=-1, reduced_below=1)
    with pytest.raises(InvalidArgumentError, match="must not be above"):
        GradingRules(exact_above=float("nan"))
    with pytest.raises(InvalidArgumentError, match="no regular expression"):
        GradingRules(keep=("(",))
    with pytest.raises(InvalidArgumentError, match="use one of exact, quantised, reduced"):
        check_grade("half")
    check_grade(None)
