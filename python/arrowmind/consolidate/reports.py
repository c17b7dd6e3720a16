"""What a run tells."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PlannedGroup", "RunReport"]


@dataclass(frozen=True)
class PlannedGroup:
    """A group that a dry run would work on."""

    sources: tuple[int, ...]
    characters: int
    first: str


@dataclass
class RunReport:
    """What a run did.

    Attributes:
        run: its name, for `undo`; empty for a dry run.
        made_by: what wrote the derived memories.
        groups: it had to work on, resumed ones included.
        visible: of them became visible.
        empty: of them gave nothing that could be proved.
        failed: of them wait for another run.
        derived: memories that were derived.
        sources: memories they were derived from.
        dropped: facts that were thrown away, by reason.
        moved: memories that tiering moved.
        tokens_in: read by language models.
        tokens_out: written by them.
        seconds: it took.
        stopped: why it ended before its end; empty if it did not.
        planned: what a dry run would do.
    """

    run: str = ""
    made_by: str = ""
    groups: int = 0
    visible: int = 0
    empty: int = 0
    failed: int = 0
    derived: int = 0
    sources: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    moved: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0
    stopped: str = ""
    planned: list[PlannedGroup] = field(default_factory=list)

    def drop(self, dropped: Mapping[str, int]) -> None:
        """Counts facts that were thrown away."""
        for reason, count in dropped.items():
            self.dropped[reason] = self.dropped.get(reason, 0) + count

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)
