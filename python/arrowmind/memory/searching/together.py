"""What was recalled together: counted in memory, written when the store is linked."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from typing import TYPE_CHECKING

from arrowmind.errors import MemoryStoreError
from arrowmind.memory.storage.links import add_links
from arrowmind.memory.times import now_microseconds
from arrowmind.observe import get_logger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arrowmind.memory.storage.catalogue import Catalogue

__all__ = ["Together"]

_log = get_logger(__name__)
# Only what came first was likely wanted.
_FIRST = 3
_WEIGHT = 0.1
_MOST_PAIRS = 4096


class Together:
    """Pairs on their way to the catalogue. They are not durable: what waits is lost with the process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pairs: Counter[tuple[int, int]] = Counter()

    def note(self, ids: Sequence[int]) -> None:
        """Counts the pairs of the first hits of one recall."""
        with self._lock:
            if len(self._pairs) < _MOST_PAIRS:
                self._pairs.update(itertools.combinations(sorted(ids[:_FIRST]), 2))

    def write(self, catalogue: Catalogue) -> None:
        """Writes what waits; what cannot be written now is let go."""
        with self._lock:
            pairs, self._pairs = self._pairs, Counter()
        if not pairs:
            return
        try:
            with catalogue.writing() as db:
                weighted = (
                    (one, other, "recalled", _WEIGHT * count) for (one, other), count in pairs.items()
                )
                add_links(db, weighted, now_microseconds())
        except MemoryStoreError as error:
            _log.warning("recalls_not_linked", error=str(error), pairs=len(pairs))
