"""Running the C++ benchmark of the kernels."""

from __future__ import annotations

import os
import sys

import pytest

from arrowmind.bench import operators
from arrowmind.errors import InvalidArgumentError, OptimizationError


def program(path, body):
    """A stand-in for bench_kernels that writes the words it got to its JSON file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!{sys.executable}\nimport json, sys\nwords = sys.argv[1:]\n{body}\n")
    path.chmod(0o755)
    return path


def test_the_answer_is_what_the_program_wrote(tmp_path):
    body = "json.dump({'results': [], 'words': words}, open(words[words.index('--json') + 1], 'w'))"
    measured = operators.measure_operators(program(tmp_path / "kernels", body), threads=3, seconds=0.5)
    assert measured["results"] == []
    assert measured["words"][:4] == ["--threads", "3", "--seconds", "0.5"]
    assert not os.path.exists(measured["words"][5])  # noqa: PTH110  nothing is left behind


def test_progress_is_told_of_each_line(tmp_path):
    body = "print('one', 'two', sep=chr(10)); open(words[words.index('--json') + 1], 'w').write('{}')"
    told = []
    program_path = program(tmp_path / "kernels", body)
    operators.measure_operators(program_path, threads=1, progress=lambda *words: told.append(words))
    assert told == [(0, 0, "kernels"), (1, 0, "kernels")]


def test_a_wrong_answer_of_a_kernel_is_told(tmp_path):
    body = "print('qmatmul_x: row 3 differs', file=sys.stderr); sys.exit(3)"
    with pytest.raises(OptimizationError, match="kernels failed: qmatmul_x: row 3 differs"):
        operators.measure_operators(program(tmp_path / "kernels", body), threads=1)


def test_a_program_that_is_not_there(tmp_path):
    with pytest.raises(InvalidArgumentError, match="build it with cmake -DARROWMIND_BENCHMARKS=ON"):
        operators.measure_operators(tmp_path / "kernels", threads=1)


def test_the_newest_program_of_the_checkout(tmp_path, monkeypatch):
    monkeypatch.setattr(operators, "_CHECKOUT", tmp_path)
    assert operators.default_program() is None
    paths = [tmp_path / "build" / kind / "benchmarks/kernels/bench_kernels" for kind in ("Release", "dev")]
    for age, path in enumerate(paths):
        program(path, "")
        os.utime(path, (1_000_000 - age, 1_000_000 - age))
    assert operators.default_program() == paths[0]
