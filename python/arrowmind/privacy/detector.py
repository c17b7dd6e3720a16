"""What a detector is, and the digits that most of them look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from arrowmind.privacy.spans import Span

__all__ = ["Detector", "NameFinder", "without_separators"]

_SEPARATORS = dict.fromkeys(map(ord, " .-"))


@dataclass(frozen=True)
class Detector:
    """Finds one kind of private thing.

    Attributes:
        kind: lower-case letters, digits and `_`; several detectors may share one.
        find: called with a folded text (`folding.fold`), any text at all; takes time linear in its length.
        standard: whether it is used when no kinds are named.
    """

    kind: str
    find: Callable[[str], Iterable[Span]]
    standard: bool = True


class NameFinder(Protocol):
    """A model that finds names of people."""

    def find_names(self, text: str) -> Iterable[tuple[int, int, float]]:
        """First character, the one behind the last, and confidence of each name."""


def without_separators(text: str) -> str:
    """The text without blanks, dots and hyphens."""
    return text.translate(_SEPARATORS)
