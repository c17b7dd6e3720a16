"""What a process has of memory is its own, not that of the process which started it."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from arrowmind.bench import resident
from arrowmind.bench.resident import peak_bytes, resident_bytes

MOST = 256 << 20


def test_a_peak_stays_when_memory_is_given_back():
    before = peak_bytes()
    held = np.ones(64 << 20, np.uint8)
    during = resident_bytes()
    del held
    assert peak_bytes() >= during * 0.99
    assert peak_bytes() >= before


@pytest.mark.skipif(sys.platform != "linux", reason="the system counts no peak for each program")
def test_a_child_begins_without_the_peak_of_its_parent():
    held = np.ones(MOST, np.uint8)
    assert peak_bytes() >= MOST
    command = [sys.executable, "-c", "from arrowmind.bench.resident import peak_bytes; print(peak_bytes())"]
    assert 0 < int(subprocess.run(command, check=True, capture_output=True, text=True).stdout) < MOST
    del held


def test_other_systems(monkeypatch, tmp_path):
    monkeypatch.setattr(resident, "_STATUS", tmp_path / "none")
    assert peak_bytes() > 1 << 20
