"""Columns of other Arrow libraries, taken over the Arrow C Data interface."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from arrowmind import _native
from arrowmind.errors import InvalidArgumentError

__all__ = ["from_arrow"]


def from_arrow(column: Any) -> npt.NDArray[Any] | list[str | None]:
    """Takes one column of another Arrow library (pyarrow, polars, nanoarrow ...).

    Args:
        column: has ``__arrow_c_array__`` or ``__arrow_c_stream__``; numbers, bools, timestamps, fixed-size
            lists of numbers, or text.

    Returns:
        A list of strings for text; else [rows] or [rows, width], a read-only view of the other library's
        memory (a copy for bools and for columns of several chunks).

    Raises:
        InvalidArgumentError: the object has no Arrow interface, is of another type, or has missing numbers.
    """
    if hasattr(column, "__arrow_c_array__"):
        return _native.import_arrow_array(*column.__arrow_c_array__())
    if not hasattr(column, "__arrow_c_stream__"):
        raise InvalidArgumentError(
            f"a {type(column).__name__} has neither __arrow_c_array__ nor __arrow_c_stream__; "
            "give a column of an Arrow library"
        )
    chunks = _native.import_arrow_stream(column.__arrow_c_stream__())
    if len(chunks) == 1:
        return chunks[0]
    if not chunks:
        raise InvalidArgumentError("an Arrow stream without chunks has no type here; give at least one row")
    numbers = [chunk for chunk in chunks if isinstance(chunk, np.ndarray)]
    if numbers:
        return np.concatenate(numbers)
    return [text for chunk in chunks if isinstance(chunk, list) for text in chunk]
