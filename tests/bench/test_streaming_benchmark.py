"""The benchmark of texts without end, on a short one: its steps, its verdicts, its record."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_short_text(tmp_path):
    words = [tmp_path / "model", "--tokens", 12_288, "--needles", 6, "--distractors", 12, "--window", 256]
    done = subprocess.run(
        [
            sys.executable,
            ROOT / "benchmarks" / "bench_streaming.py",
            *map(str, words),
            "--json",
            "record.json",
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT / "python")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "of 6 facts told" in done.stdout
    assert "facts that are told: 100.00 % (goal 95 %): met" in done.stdout
    record = json.loads((tmp_path / "record.json").read_text())
    assert [step["tokens"] > 4000 for step in record["steps"]] == [True] * len(record["steps"])
    assert record["recall"] == 1
    assert record["hardware"]
