"""The first two digits of Chinese region codes (GB/T 2260)."""

from __future__ import annotations

__all__ = ["is_province"]

_TABLE = """
    11 12 13 14 15 21 22 23 31 32 33 34 35 36 37 41 42 43 44 45 46 50 51 52 53 54 61 62 63 64 65 71 81
    82 83
"""
_PROVINCES = frozenset(_TABLE.split())


def is_province(code: str) -> bool:
    """Whether a region code begins with the two digits of a province."""
    return code[:2] in _PROVINCES
