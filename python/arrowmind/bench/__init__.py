"""Measurements of speed, size and fidelity, beside the strategies and peers one would otherwise use."""
