"""Vectors of memories that became cold while a process looked on: it has them still, and need not encode."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from arrowmind.memory.storage.cold_rows import ColdRows
from arrowmind.memory.storage.reviving import MOST_KEPT

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from arrowmind.memory.storage.rows import Rows

    Vectors = tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]

__all__ = ["carried"]


def carried(gone: Sequence[Rows], came: Sequence[Rows]) -> dict[int, Vectors]:
    """Vectors that rows which went had, of memories whose rows that came are to make them again.

    Args:
        gone: rows of files that were taken out of a store.
        came: rows of files that were put in.

    Returns:
        By id codes int8 [windows, dimension] and scales float32 [windows], of the newest, as many
        as are kept; empty where nothing became cold.
    """
    cold = [rows for rows in came if isinstance(rows, ColdRows)]
    hot = [rows for rows in gone if not rows.is_cold]
    if not cold or not hot:
        return {}
    wanted = np.unique(np.concatenate([rows.ids[~rows.has_vector] for rows in cold]))
    found: dict[int, Vectors] = {}
    for rows in hot:
        firsts = rows.first_rows
        firsts = firsts[np.isin(rows.ids[firsts], wanted)][-MOST_KEPT:]
        ends = np.append(rows.first_rows, len(rows))[np.searchsorted(rows.first_rows, firsts) + 1]
        for id_, first, end in zip(rows.ids[firsts].tolist(), firsts.tolist(), ends.tolist(), strict=True):
            found[id_] = rows.codes[first:end].copy(), rows.scales[first:end].copy()
    return dict(sorted(found.items())[-MOST_KEPT:])
