"""Facts written by a language model, of which those stay that quote their sources."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from arrowmind.consolidate.facts import check_facts
from arrowmind.consolidate.prompts import PROMPT_VERSION, SCHEMA, questions
from arrowmind.consolidate.summarising import Summary
from arrowmind.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from arrowmind.consolidate.records import SourceMemory
    from arrowmind.consolidate.remote import Provider
    from arrowmind.consolidate.store import KnownFact
    from arrowmind.consolidate.summarising import SummariserSetup, Task

__all__ = ["FactWriter", "open_summariser"]


def open_summariser(setup: SummariserSetup) -> FactWriter:
    """With the provider of the setup.

    Raises:
        ConfigurationError: there is none.
    """
    if setup.provider is None:
        raise ConfigurationError("facts need a language model; set consolidation.provider")
    return FactWriter(setup.provider, setup.max_facts, setup.redact)


@dataclass(frozen=True)
class FactWriter:
    """Asks a language model for facts and checks each."""

    provider: Provider
    max_facts: int
    redact: Callable[[str], str] | None = None
    needs_known: bool = True

    @property
    def name(self) -> str:
        """That of the model, and the version of the prompt."""
        return f"{self.provider.name}/{PROMPT_VERSION}"

    def summarise(self, task: Task) -> Summary:
        """As `Summariser.summarise`."""
        messages = questions(*self._shown(task), self.max_facts)
        answer = self.provider.complete(messages, SCHEMA, max_tokens=task.max_tokens, timeout=task.timeout)
        checked = check_facts(
            answer.data or {}, task.sources, task.known, most=self.max_facts, made_by=self.name
        )
        return Summary(
            checked.derived, checked.closings, checked.dropped, answer.tokens_in, answer.tokens_out
        )

    def _shown(self, task: Task) -> tuple[Sequence[SourceMemory], Sequence[KnownFact]]:
        """What the model sees. Answers are checked against the texts themselves: no quote holds a mask."""
        if self.redact is None:
            return task.sources, task.known
        sources = [replace(source, text=self.redact(source.text)) for source in task.sources]
        return sources, [replace(fact, text=self.redact(fact.text)) for fact in task.known]
