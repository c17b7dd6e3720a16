"""Rows of the kernel table as test parameters, so that a new row is tested with no edit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from arrowmind import _native

if TYPE_CHECKING:
    from collections.abc import Iterable

SEED = 20261121

# Widths around the vectors of 16 lanes, the four of them a sum takes at once, and what models use.
WIDTHS = [1, 3, 4, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 129, 384, 389, 768]


def rows(op: str, prefix: str = "") -> list[dict]:
    found = [row for row in _native.kernels() if row["op"] == op and row["name"].startswith(prefix)]
    assert found, f"no kernel of {op} is called {prefix}*"
    return found


def named(op: str, prefix: str = "") -> list:
    """Names of rows; those this machine lacks are skipped with the reason."""
    return [
        pytest.param(
            row["name"],
            marks=() if row["enabled"] else pytest.mark.skip(reason=f"{row['isa']} is not enabled here"),
        )
        for row in rows(op, prefix)
    ]


def others(op: str, prefix: str = "") -> list:
    """Names of the rows that must give the bits of the scalar row."""
    return [parameter for parameter in named(op, prefix) if not parameter.values[0].endswith("_scalar")]


def scalar(op: str, prefix: str = "") -> str:
    (row,) = (row for row in rows(op, prefix) if row["isa"] == "scalar")
    return row["name"]


def assert_only_missing_isas_are_skipped(op: str) -> None:
    """All rows skipped must not look like all rows passed."""
    enabled = {isa["name"]: isa["enabled"] for isa in _native.isas()}
    per_isa: dict[str, int] = {}
    for row in rows(op):
        per_isa[row["isa"]] = per_isa.get(row["isa"], 0) + 1
    skipped = sum(parameter.marks != () for parameter in named(op))
    assert skipped == sum(count for isa, count in per_isa.items() if not enabled[isa])
    assert per_isa["scalar"] >= 1
    assert enabled["scalar"]


def assert_same_bits(a: np.ndarray, b: np.ndarray) -> None:
    """Equal in every bit, but for the payload of a NaN."""
    assert a.dtype == b.dtype
    if a.dtype.kind == "f":
        assert np.array_equal(np.isnan(a), np.isnan(b))
        a, b = (np.where(np.isnan(x), np.float32(0), x).view(np.uint32) for x in (a, b))
    assert np.array_equal(a, b)


def assert_all_same_bits(found: Iterable[np.ndarray], wanted: Iterable[np.ndarray]) -> None:
    for a, b in zip(found, wanted, strict=True):
        assert_same_bits(a, b)
