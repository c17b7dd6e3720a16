"""What consolidation needs of a memory store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    from arrowmind.consolidate.records import Change, SourceMemory, Tier
    from arrowmind.memory.storage.paths import StorePaths

    FloatArray = npt.NDArray[np.float32]

__all__ = ["KnownFact", "StoreForConsolidation", "Wanted"]


@dataclass(frozen=True)
class Wanted:
    """Which memories may be consolidated.

    Attributes:
        min_access: recalled at least so often.
        before: only memories from before then, microseconds.
        limit: so many at most, the most recalled first, then the oldest.
    """

    min_access: int
    before: int
    limit: int


@dataclass(frozen=True)
class KnownFact:
    """A derived memory that still holds, to compare new facts with."""

    id: int
    text: str
    valid_from: int


class StoreForConsolidation(Protocol):
    """A store: reading needs no lock, `commit` and `undo` are one transaction each."""

    @property
    def identity(self) -> str:
        """Tells stores apart; stays when the folder moves."""

    @property
    def paths(self) -> StorePaths:
        """Where the journal and the lock of the consolidation lie."""

    def candidates(self, wanted: Wanted) -> list[SourceMemory]:
        """Hot and warm memories that are neither derived nor a source of something derived."""

    def get(self, ids: Collection[int]) -> dict[int, SourceMemory]:
        """Those of the memories that are there, not forgotten and not derived."""

    def nearest(self, vector: FloatArray, count: int) -> list[tuple[int, float]]:
        """Ids and cosines of the memories nearest to a vector, nearest first."""

    def known_facts(self, vector: FloatArray, namespace: str, count: int) -> list[KnownFact]:
        """Derived memories nearest to a vector whose validity has no end."""

    def embed(self, texts: Sequence[str]) -> FloatArray | None:
        """Vectors float32 [len(texts), dimension] of length 1; None without an encoder."""

    def commit(self, change: Change) -> tuple[int, ...]:
        """Makes a change visible in one transaction; returns the ids of what was derived.

        Known by its key already, it changes nothing and returns the ids it gave then.

        Raises:
            MemoryStoreError: a source was forgotten meanwhile, or nothing can be written.
        """

    def undo(self, keys: Sequence[str]) -> int:
        """Takes changes back in one transaction: what they derived goes, tiers and validity return.

        Returns:
            How many of the changes were there.
        """

    def texts(self) -> Iterator[SourceMemory]:
        """All memories that are neither forgotten nor derived, by id; for tiering."""

    def recalled_cold(self) -> list[int]:
        """Cold memories that were recalled since they became cold."""

    def settle(self) -> None:
        """Puts the bytes of memories where their tiers say; nothing that is asked of the store changes.

        Raises:
            MemoryStoreError: another process works on the files, or nothing can be written.
        """

    def move(self, key: str, tiers: Mapping[int, Tier]) -> None:
        """Moves memories to other tiers in one transaction, as `commit` does, to be undone by its key."""
