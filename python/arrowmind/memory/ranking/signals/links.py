"""The association graph: how often a walk from the best guesses ends at a memory.

The root of the share, because the seeds themselves take most of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from arrowmind.memory.ranking.pool import Pool
    from arrowmind.memory.ranking.question import Question
    from arrowmind.memory.ranking.signals.signal import FloatArray

__all__ = ["SIGNALS"]


def _links(_question: Question, pool: Pool) -> FloatArray:
    roots: FloatArray = np.sqrt(pool.linked)
    return roots


SIGNALS = {"links": _links}
