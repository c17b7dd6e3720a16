"""What turns a group of memories into few: one file each.

A module gives ``open_summariser(setup: SummariserSetup) -> Summariser``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from arrowmind.consolidate import registry
from arrowmind.consolidate.summarising import Summariser, SummariserSetup, Summary, Task

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["Summariser", "SummariserSetup", "Summary", "Task", "open_summariser", "summariser_names"]


def summariser_names() -> list[str]:
    """The summarisers there are."""
    return registry.names(__name__)


def open_summariser(name: str, setup: SummariserSetup) -> Summariser:
    """A summariser.

    Raises:
        ConfigurationError: the name is unknown, or the setup lacks something.
    """
    module: ModuleType = registry.load(__name__, name, "summariser")
    summariser: Summariser = module.open_summariser(setup)
    return summariser
