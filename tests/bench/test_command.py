"""`arrowmind bench`: its options, its JSON and its exit codes."""

from __future__ import annotations

import json

import pytest
from tests.bench.lanes import SENTENCES, TOKENS, lane
from tests.reference import folder

from arrowmind.bench import main, race, workload
from arrowmind.bench.contenders import CONTENDERS, Contender
from arrowmind.bench.workload import Workload
from arrowmind.errors import ConfigurationError, WeightError


@pytest.fixture
def bench(tmp_path, monkeypatch):
    """The command over a race that is not run: it gives the lanes of `bench.lanes`."""

    class Bench:
        lanes = (
            lane(),
            lane("arrowmind-fp32", "fp32", fidelity={"cosine_mean": 0.999999, "cosine_min": 0.9999}),
        )
        jobs = ()
        options = None

        def __call__(self, *words):
            return main(["--source", str(source), "--no-operators", "--out", "r/a.json", *words])

        def result(self):
            return json.loads((tmp_path / "r" / "a.json").read_text())

    def run_race(jobs, work, place, options, progress):
        made.jobs, made.options = jobs, options
        return list(made.lanes)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(race, "run_race", run_race)
    work = Workload({"all": [""] * SENTENCES}, TOKENS)
    monkeypatch.setattr(workload, "make_workload", lambda *_: work)
    source, made = folder.write(tmp_path / "source", folder.weights()), Bench()
    return made


def test_the_result_holds_everything_and_can_be_compared(bench, tmp_path, capsys):
    assert bench("--threads", "1", "--rounds", "2") == 0
    result = bench.result()
    assert result["workload"] == {"sentences": SENTENCES, "tokens": TOKENS, "threads": 1}
    assert set(result["contenders"]) == {"arrowmind-int8", "arrowmind-fp32"}
    assert result["operators"] is None
    assert {"cpu", "commit"} <= set(result["hardware"])
    assert [job.threads for job in bench.jobs] == [1, 1]
    assert bench.options.rounds == 2
    assert "written: r/a.json" in capsys.readouterr().out
    assert main(["compare", "r/a.json", "r/a.json"]) == 0


def test_as_json(bench, capsys):
    assert bench("--json") == 0
    assert json.loads(capsys.readouterr().out) == bench.result()


def test_check_fails_only_when_a_target_is_missed(bench):
    assert bench("--check") == 0
    bench.lanes = (lane(weights_bytes=30_000_000),)
    assert bench() == 0
    assert bench("--check") == 1
    assert [row["what"] for row in bench.result()["targets"] if row["reached"] is False] == ["INT8 file, MB"]


def test_compare_tells_a_regression(bench, tmp_path, capsys):
    bench()
    slow = bench.result()
    slow["contenders"]["arrowmind-int8"]["summary"]["sentences_per_s"]["median"] /= 2
    (tmp_path / "b.json").write_text(json.dumps(slow))
    capsys.readouterr()
    assert main(["compare", "r/a.json", "b.json"]) == 1
    assert "worse arrowmind-int8 sentences/s: 100 -> 50 (+100.00% worse)" in capsys.readouterr().out
    assert main(["compare", "r/a.json", "b.json", "--threshold", "150"]) == 0
    assert main(["compare", "r/a.json", "b.json", "--json"]) == 1
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["regressed"] == 1


def test_peers_whose_packages_are_missing_are_left_out_and_that_is_said(bench, monkeypatch, capsys):
    row = Contender("onnxruntime-fp32", "onnx_runtime", "fp32", ("no_such_package",), "onnxruntime")
    monkeypatch.setitem(CONTENDERS, row.name, row)
    for name in ("onnxruntime-int8", "onnxruntime-int8-channel"):
        monkeypatch.delitem(CONTENDERS, name)
    assert bench("--peers", "onnxruntime") == 0
    assert [job.name for job in bench.jobs] == ["arrowmind-int8", "arrowmind-fp32"]
    said = capsys.readouterr().err
    assert "contender left out" in said
    assert "no_such_package" in said


def test_unknown_names(bench):
    with pytest.raises(ConfigurationError, match="unknown peers nobody: choose from onnxruntime"):
        bench("--peers", "nobody")
    with pytest.raises(ConfigurationError, match="unknown contender 'arrowmind-int1'"):
        bench("--strategies", "arrowmind-int1")


def test_a_source_that_is_none(bench, tmp_path):
    with pytest.raises(WeightError, match="holds no config"):
        bench("--source", str(tmp_path))


@pytest.mark.parametrize("words", [("--rounds", "0"), ("--threads", "-1"), ("--sentences", "many")])
def test_counts_that_are_none(bench, words, capsys):
    with pytest.raises(SystemExit):
        bench(*words)
    assert "is not a whole number >= 1" in capsys.readouterr().err


def test_a_model_made_beforehand_takes_part(bench, tmp_path, capsys):
    assert bench("--model", "arrowmind-int4=models/four") == 0
    assert [(job.name, job.model) for job in bench.jobs] == [
        ("arrowmind-int8", None),
        ("arrowmind-fp32", None),
        ("arrowmind-int4", tmp_path / "models" / "four"),
    ]
    with pytest.raises(SystemExit):
        bench("--model", "onnxruntime-int8=x")
    assert "is not NAME=FOLDER" in capsys.readouterr().err
