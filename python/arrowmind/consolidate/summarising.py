"""The interface of summarisers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    from arrowmind.consolidate.records import DerivedMemory, SourceMemory
    from arrowmind.consolidate.remote import Provider
    from arrowmind.consolidate.store import KnownFact

    FloatArray = npt.NDArray[np.float32]
    Embed = Callable[[Sequence[str]], FloatArray | None]

__all__ = ["Summariser", "SummariserSetup", "Summary", "Task"]


@dataclass(frozen=True)
class Task:
    """A group of memories of one namespace.

    Attributes:
        sources: in order of time.
        known: facts derived earlier that still hold, for contradictions.
        max_tokens: that may be written.
        timeout: seconds it may take.
    """

    sources: tuple[SourceMemory, ...]
    known: tuple[KnownFact, ...] = ()
    max_tokens: int = 2_048
    timeout: float = 120.0


@dataclass(frozen=True)
class Summary:
    """What came of it.

    Attributes:
        derived: at least one, or the group stays as it is.
        closings: until when known facts hold that are contradicted, by id.
        dropped: how many facts were thrown away, by reason.
        tokens_in: that were read.
        tokens_out: that were written.
    """

    derived: tuple[DerivedMemory, ...]
    closings: Mapping[int, int] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)
    tokens_in: int = 0
    tokens_out: int = 0


@dataclass(frozen=True)
class SummariserSetup:
    """What a summariser is opened with.

    Attributes:
        embed: makes vectors of sentences; gives None where there is no encoder.
        provider: a language model, for those that need one.
        share: of the signs of its sources that an extract may have.
        max_facts: of one group.
        redact: takes private data out of what a model is shown; None shows it as it is.
    """

    embed: Embed
    provider: Provider | None = None
    share: float = 0.3
    max_facts: int = 12
    redact: Callable[[str], str] | None = None


class Summariser(Protocol):
    """Turns a group of memories into few."""

    @property
    def name(self) -> str:
        """What wrote a derived memory; a part of the key of each task."""

    @property
    def needs_known(self) -> bool:
        """Whether it looks at known facts."""

    def summarise(self, task: Task) -> Summary:
        """One group.

        Raises:
            ProviderError: a language model did not answer in a way that can be used.
        """
