"""Made-up lanes: what a race measures, with figures that a test chooses."""

from __future__ import annotations

import dataclasses

from arrowmind.bench.race import Lane

SENTENCES, TOKENS = 100, 4_000


def lane(name="arrowmind-int8", precision="int8", **values):
    """A lane that meets every target of its own; `values` replace fields."""
    made = Lane(
        name,
        precision,
        weights_bytes=23_600_000,
        cold=[{"seconds": 0.25, "resident": 70e6}, {"seconds": 0.2, "resident": 69e6}],
        open_seconds=0.03,
        setting={"batch": 0, "callers": 1},
        rounds=[1.0, 1.0, 1.0],
        cpu_rounds=[2.0, 1.9, 2.1],
        quiet_rounds=[1.0, 1.0],
        busy_rounds=[2.0, 2.0],
        short=[0.002] * 5,
        long=[0.02] * 5,
        memory={"resident": 80_000_000, "peak": 90_000_000},
        fidelity={"cosine_mean": 0.9996, "cosine_min": 0.9985},
        similarity={"stsb": 0.8203},
    )
    return dataclasses.replace(made, **values)


def kernel_row(kernel="qmatmul_f32_i8_1x16_avx2", shape="1x384x384", **values):
    """One figure of the kernel benchmark."""
    row = {
        "op": "qmatmul",
        "kernel": kernel,
        "shape": shape,
        "threads": 1,
        "best_s": 1e-5,
        "median_s": 1.1e-5,
        "gop_s": 29.5,
        "gb_s": 14.8,
        "limit": "read_dram",
        "limit_value": 16.0,
        "share": 0.92,
    }
    return {**row, **values}
