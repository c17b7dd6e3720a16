"""Sizes of memory as people write them."""

from __future__ import annotations

import re

from arrowmind.errors import InvalidArgumentError

__all__ = ["parse_bytes"]

_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*")
_UNITS = {
    "": 1,
    "b": 1,
    **{f"{prefix}b": 1000**power for power, prefix in enumerate("kmgt", 1)},
    **{f"{prefix}ib": 1024**power for power, prefix in enumerate("kmgt", 1)},
    **{prefix: 1024**power for power, prefix in enumerate("kmgt", 1)},
}


def parse_bytes(size: str | int, name: str) -> int:
    """Bytes of `4GiB`, `500 MB`, `2g` (1024 to the power of 3) or a number.

    Args:
        size: as written.
        name: of the value, for the error.

    Raises:
        InvalidArgumentError: it is no size, or zero.
    """
    if isinstance(size, bool) or not isinstance(size, int | str):
        raise InvalidArgumentError(f"{name}={size!r}; give bytes, or text such as '4GiB'")
    found = _SIZE.fullmatch(size) if isinstance(size, str) else None
    if isinstance(size, str) and (found is None or found[2].lower() not in _UNITS):
        raise InvalidArgumentError(f"{name}={size!r}; use a number and a unit, such as 4GiB or 500MB")
    value = int(float(found[1]) * _UNITS[found[2].lower()]) if found is not None else int(size)
    if not 0 < value < 1 << 60:
        raise InvalidArgumentError(f"{name}={size!r}; use at least a byte, and less than an exabyte")
    return value
