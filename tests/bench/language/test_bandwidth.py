"""What a machine reads per second."""

from __future__ import annotations

from arrowmind.bench.language import bandwidth


def test_a_machine_reads_something(monkeypatch):
    monkeypatch.setattr(bandwidth, "_BYTES", 1 << 20)
    assert 1e7 < bandwidth.read_bandwidth(2) < 1e13
