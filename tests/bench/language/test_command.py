"""`arrowmind bench llm`: its options, its JSON and its exit codes."""

from __future__ import annotations

import json

import pytest
from tests.bench.language.small import lane, race

from arrowmind.bench import main
from arrowmind.bench.language import command
from arrowmind.bench.language import race as racing
from arrowmind.bench.language.contenders import ROWS, LanguageContender, row_of
from arrowmind.errors import ConfigurationError


@pytest.fixture
def bench(tmp_path, monkeypatch):
    """The command over a race that is not run."""

    class Bench:
        lanes = (lane("arrowmind-int8"),)
        jobs = ()
        options = None

        def __call__(self, *words):
            return main(["llm", "--out", "r/a.json", *words])

        def result(self):
            return json.loads((tmp_path / "r" / "a.json").read_text())

    def run(jobs, folder, options, vocabulary, progress):
        made.jobs, made.options = jobs, options
        return race(*made.lanes)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(racing, "run_language_race", run)
    made = Bench()
    return made


def test_the_result_holds_everything(bench, tmp_path, capsys):
    assert bench("--threads", "1", "--rounds", "2", "--contenders", "arrowmind-int8") == 0
    result = bench.result()
    assert result["format"] == command.FORMAT
    assert result["workload"] == {
        "shape": "qwen2.5-0.5b",
        "threads": 1,
        "tokens": 32,
        "behind": 16,
        "prompt": 512,
    }
    assert result["contenders"]["arrowmind-int8"]["tokens_per_second"]["median"] == pytest.approx(100)
    assert [job.name for job in bench.jobs] == ["arrowmind-int8"]
    assert (bench.options.rounds, bench.options.threads) == (2, 1)
    assert json.loads((bench.jobs[0].source / "config.json").read_text())["hidden_size"] == 896
    said = capsys.readouterr().out
    assert "read bandwidth 11.0 GB/s" in said
    assert "written: r/a.json" in said


def test_one_that_failed_is_told(bench, capsys):
    bench.lanes = (lane("arrowmind-int8"), lane("llama.cpp-F16", error="[bench] it died"))
    bench()
    assert "llama.cpp-F16: [bench] it died" in capsys.readouterr().out


def test_as_json(bench, capsys):
    assert bench("--json") == 0
    assert json.loads(capsys.readouterr().out) == bench.result()


def test_check_fails_only_when_a_target_is_missed(bench):
    assert bench("--check") == 0
    bench.lanes = (lane("arrowmind-int8", 50.0),)
    assert bench() == 0
    assert bench("--check") == 1


def test_a_peer_that_is_not_installed_is_left_out_and_that_is_said(bench, monkeypatch, capsys):
    for name in [name for name in ROWS if name.startswith("llama.cpp")]:
        row = LanguageContender(name, "llama_cpp", name, "llama.cpp", ("no_such_package",))
        monkeypatch.setitem(ROWS, name, row)
    assert bench("--contenders", "arrowmind-int8", "--peers", "llama.cpp") == 0
    assert [job.name for job in bench.jobs] == ["arrowmind-int8"]
    said = capsys.readouterr().err
    assert "contender left out" in said
    assert "llama-cpp-python" in said


def test_unknown_names(bench):
    with pytest.raises(ConfigurationError, match=r"unknown peers nobody: choose from llama\.cpp"):
        bench("--peers", "nobody")
    with pytest.raises(ConfigurationError, match="unknown contender 'arrowmind-int1'"):
        row_of("arrowmind-int1")


@pytest.mark.parametrize("words", [("--rounds", "0"), ("--threads", "-1"), ("--prompt", "many")])
def test_counts_that_are_none(bench, words, capsys):
    with pytest.raises(SystemExit):
        bench(*words)
    assert "is not a whole number >= 1" in capsys.readouterr().err
