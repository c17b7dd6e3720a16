"""Telling whether one result is worse than another."""

from __future__ import annotations

import copy
import json

import pytest

from arrowmind.bench.comparison import FORMAT, VERSION, compare, read_result
from arrowmind.errors import InvalidArgumentError


def result():
    summary = {
        "sentences_per_s": {"median": 200.0},
        "short": {"p50_ms": 2.0},
        "long": {"p50_ms": 15.0},
        "start_seconds": {"median": 0.3},
        "resident_first": 70_000_000,
    }
    ours = {
        "error": None,
        "summary": summary,
        "weights_bytes": 23_600_000,
        "fidelity": {"cosine mean": 0.9996},
        "similarity": {"stsb": 0.8203},
    }
    peer = {"error": None, "summary": {"sentences_per_s": {"median": 100.0}}}
    return {
        "format": FORMAT,
        "version": VERSION,
        "contenders": {"arrowmind-int8": ours, "onnxruntime-int8": peer},
        "operators": None,
    }


def changed(**values):
    after = copy.deepcopy(result())
    summary = after["contenders"]["arrowmind-int8"]["summary"]
    for key, value in values.items():
        summary[key] = value
    return after


def regressions(before, after, **options):
    return [change.what for change in compare(before, after, **options) if change.regressed]


def test_equal_results_have_no_regression():
    assert regressions(result(), result()) == []


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({"sentences_per_s": {"median": 150.0}}, "arrowmind-int8 sentences/s"),
        ({"short": {"p50_ms": 2.5}}, "arrowmind-int8 16 tokens, ms"),
        ({"start_seconds": {"median": 0.5}}, "arrowmind-int8 start, s"),
        ({"resident_first": 80_000_000}, "arrowmind-int8 resident, bytes"),
    ],
)
def test_what_got_worse_is_named(values, what):
    assert regressions(result(), changed(**values)) == [what]


def test_a_small_change_is_noise():
    assert regressions(result(), changed(sentences_per_s={"median": 190.0})) == []


def test_a_slower_machine_is_cancelled_by_a_peer():
    after = changed(sentences_per_s={"median": 100.0}, short={"p50_ms": 4.0}, long={"p50_ms": 30.0})
    after["contenders"]["onnxruntime-int8"]["summary"]["sentences_per_s"]["median"] = 50.0
    assert "arrowmind-int8 sentences/s" in regressions(result(), after)
    assert regressions(result(), after, relative_to="onnxruntime-int8") == []


def test_a_peer_that_is_not_there():
    with pytest.raises(InvalidArgumentError, match="no figures of 'nobody'"):
        compare(result(), result(), relative_to="nobody")


def test_results_without_anything_in_common():
    with pytest.raises(InvalidArgumentError, match="nothing to compare"):
        compare(result(), {**result(), "contenders": {}})


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("not json", "cannot be read"),
        ("[]", "is not a result"),
        ('{"format": "other"}', "is not a result"),
        (json.dumps({"format": FORMAT, "version": 99}), "has version 99"),
    ],
)
def test_files_that_are_no_results(tmp_path, content, what):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(InvalidArgumentError, match=what):
        read_result(tmp_path / "a.json")


def test_a_result_is_read_back(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(result()))
    assert read_result(tmp_path / "a.json") == result()
