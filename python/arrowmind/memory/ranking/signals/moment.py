"""When it was told, where the query speaks of a time: a boost, never a filter."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import numpy as np

from arrowmind.memory.ranking.dates import fit

if TYPE_CHECKING:
    from arrowmind.memory.ranking.pool import Pool
    from arrowmind.memory.ranking.question import Question
    from arrowmind.memory.ranking.signals.signal import FloatArray

__all__ = ["SIGNALS"]

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def _moment(question: Question, pool: Pool) -> FloatArray:
    if not question.spans:
        return np.zeros(len(pool), dtype=np.float32)
    moments = (_EPOCH + timedelta(microseconds=item.moment) for item in pool.told)
    return np.array([fit(question.spans, moment) for moment in moments], dtype=np.float32)


SIGNALS = {"moment": _moment}
