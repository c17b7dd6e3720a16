"""What consolidation reads from a store and hands back to it."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from arrowmind.memory.times import NEVER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float32]

__all__ = ["Change", "DerivedMemory", "Quote", "SourceMemory", "Tier", "shared_category"]


class Tier(enum.IntEnum):
    """How close at hand a memory is kept.

    HOT and WARM have INT8 vectors; COLD keeps a one-bit code and its text in compressed blocks, and is still
    searched; ARCHIVED is found by its id and through what was derived from it alone.
    """

    HOT = 0
    WARM = 1
    COLD = 2
    ARCHIVED = 3


@dataclass(frozen=True)
class SourceMemory:
    """A memory as consolidation sees it; moments in microseconds, `NEVER` for none.

    Attributes:
        id: of the memory.
        text: verbatim.
        vector: float32 [dimension] of length 1 (of a long text the mean of its windows); None without one.
        timestamp: when it happened.
        namespace: whose it is; memories of different ones are never put together.
        category: its label, if any.
        access_count: how often it was recalled.
        last_access: when it was recalled last.
        tier: where it is kept.
    """

    id: int
    text: str
    vector: FloatArray | None
    timestamp: int
    namespace: str = ""
    category: str | None = None
    access_count: int = 0
    last_access: int = NEVER
    tier: Tier = Tier.HOT


def shared_category(sources: Sequence[SourceMemory]) -> str | None:
    """The category that all of them have, if there is one."""
    found = {source.category for source in sources}
    return found.pop() if len(found) == 1 else None


@dataclass(frozen=True)
class Quote:
    """Words of a source, exactly as they stand in it."""

    source: int
    text: str


@dataclass(frozen=True)
class DerivedMemory:
    """A fact or a summary; it is searched like any memory and is never a source again.

    Attributes:
        text: what it says.
        quotes: what it rests on; at least one.
        vector: float32 [dimension] of length 1; None lets the store encode the text.
        valid_from: since when it holds, microseconds.
        valid_to: until when; `NEVER` while nothing contradicts it.
        replaces: ids of derived memories of the store that it contradicts; they stay, linked and closed.
        replaces_here: places, in the same change, of those that it contradicts.
        namespace: that of its sources.
        category: that of its sources, if they agree.
        made_by: what wrote it, for instance `extractive` or `ollama:qwen2.5:3b`.
    """

    text: str
    quotes: tuple[Quote, ...]
    vector: FloatArray | None = field(default=None, compare=False)
    valid_from: int = NEVER
    valid_to: int = NEVER
    replaces: tuple[int, ...] = ()
    replaces_here: tuple[int, ...] = ()
    namespace: str = ""
    category: str | None = None
    made_by: str = ""

    @property
    def sources(self) -> tuple[int, ...]:
        """Ids of the memories it was derived from, ascending."""
        return tuple(sorted({quote.source for quote in self.quotes}))


@dataclass(frozen=True)
class Change:
    """What becomes true in one transaction of the store.

    Attributes:
        key: names the change; a store that has it already changes nothing.
        run: the run it belongs to.
        derived: memories that become visible.
        tiers: where their sources are kept from then on.
        closings: until when derived memories hold that are contradicted, by id.
    """

    key: str
    run: str
    derived: tuple[DerivedMemory, ...]
    tiers: Mapping[int, Tier]
    closings: Mapping[int, int] = field(default_factory=dict)
