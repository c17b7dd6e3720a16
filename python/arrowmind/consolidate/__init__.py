"""What becomes of memories with time: consolidated, moved to colder tiers, compressed, and all of it undone.

::

    records      what is read from a store and handed back; store: what a store must be able to do
    remote       language models behind one interface; providers: one file each
    candidates   memories -> groups; summarising: the interface of summarisers: one file each
    prompts      what a model is asked; facts: its answer, checked; quotes: what is proof; sentences
    consolidator plans, runs, undoes; running: one run; journal: how far each group has come; payload
    budget       tokens and seconds of a run; reports: what it tells
    registry     choices by name: a file each
"""

from __future__ import annotations

from arrowmind.consolidate.consolidator import Consolidator
from arrowmind.consolidate.journal import Journal
from arrowmind.consolidate.providers import open_provider, provider_names
from arrowmind.consolidate.records import Change, DerivedMemory, Quote, SourceMemory, Tier
from arrowmind.consolidate.reports import RunReport
from arrowmind.consolidate.running import RunSettings
from arrowmind.consolidate.store import KnownFact, StoreForConsolidation, Wanted

__all__ = [
    "Change",
    "Consolidator",
    "DerivedMemory",
    "Journal",
    "KnownFact",
    "Quote",
    "RunReport",
    "RunSettings",
    "SourceMemory",
    "StoreForConsolidation",
    "Tier",
    "Wanted",
    "open_provider",
    "provider_names",
]
