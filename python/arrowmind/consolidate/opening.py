"""A consolidator as the settings say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arrowmind.config.sizes import parse_bytes
from arrowmind.consolidate.candidates import Grouping
from arrowmind.consolidate.consolidator import Consolidator
from arrowmind.consolidate.providers import open_provider
from arrowmind.consolidate.records import Tier
from arrowmind.consolidate.remote import Patience, ProviderSettings, Retrying
from arrowmind.consolidate.running import RunSettings
from arrowmind.consolidate.schedule import CronSchedule, PressureTrigger
from arrowmind.consolidate.summarisers import SummariserSetup, open_summariser
from arrowmind.consolidate.tiering.planning import TierLimits
from arrowmind.consolidate.tiering.policies import open_policy
from arrowmind.privacy.redactor import Redactor
from arrowmind.privacy.registry import NONE

if TYPE_CHECKING:
    from collections.abc import Callable

    from arrowmind.config import ConsolidationSettings
    from arrowmind.consolidate.store import StoreForConsolidation

__all__ = ["open_consolidator", "pressure_of", "schedule_of"]

_HOUR = 3600.0
_OWN_ENGINE = "engine"
_ORIGINALS = {"keep": Tier.HOT, "cold": Tier.COLD, "archived": Tier.ARCHIVED}
_LOW_SHARE = 0.9


def open_consolidator(settings: ConsolidationSettings, store: StoreForConsolidation) -> Consolidator:
    """Consolidates a store by the section `consolidation`.

    Raises:
        ConfigurationError: a name is unknown, or a provider lacks its model or key.
    """
    setup = SummariserSetup(
        store.embed, _provider(settings), settings.share, settings.max_facts, _redaction(settings)
    )
    extract = open_summariser("extractive", setup)
    limits = TierLimits(
        hot_bytes=_bytes(settings.hot_bytes, "consolidation.hot_bytes"),
        cold_days=settings.cold_days,
        archive_days=settings.archive_days,
    )
    summariser = extract if setup.provider is None else open_summariser("llm", setup)
    is_extracting = setup.provider is not None and settings.on_failure == "extract"
    return Consolidator(
        store,
        summariser,
        _run_settings(settings),
        fallback=extract if is_extracting else None,
        tiering=(open_policy(settings.policy), limits),
    )


def schedule_of(settings: ConsolidationSettings) -> CronSchedule | None:
    """When the daemon runs.

    Raises:
        ConfigurationError: the line is no schedule.
    """
    return CronSchedule(settings.schedule) if settings.schedule.strip() else None


def pressure_of(settings: ConsolidationSettings) -> PressureTrigger | None:
    """Above which size of the store the daemon runs.

    Raises:
        ConfigurationError: the sizes do not fit each other.
        InvalidArgumentError: they are no sizes.
    """
    high = _bytes(settings.pressure_high, "consolidation.pressure_high")
    low = _bytes(settings.pressure_low, "consolidation.pressure_low") or int(high * _LOW_SHARE)
    return PressureTrigger(high, low) if high else None


def _provider(settings: ConsolidationSettings) -> Retrying | None:
    if not settings.provider:
        return None
    asked = ProviderSettings(
        model=settings.model,
        url=settings.url,
        key_variable=settings.key_variable,
        key_file=settings.key_file,
    )
    patience = Patience(attempts=settings.attempts, requests_per_minute=settings.requests_per_minute)
    return Retrying(open_provider(settings.provider, asked), patience)


def _redaction(settings: ConsolidationSettings) -> Callable[[str], str] | None:
    """What takes private data out of texts that leave the machine; our own engine sees them as they are."""
    if settings.provider in ("", _OWN_ENGINE) or tuple(settings.redact) == (NONE,):
        return None
    redactor = Redactor(settings.redact)
    return lambda text: redactor.redact(text).text


def _run_settings(settings: ConsolidationSettings) -> RunSettings:
    grouping = Grouping(
        cosine=settings.cosine,
        cosine_in_time=min(settings.cosine_in_time, settings.cosine),
        gap=round(settings.gap_hours * _HOUR * 1e6),
        least=settings.min_group,
        most=max(settings.max_group, settings.min_group),
    )
    return RunSettings(
        min_access=settings.min_access,
        min_age_seconds=settings.min_age_hours * _HOUR,
        max_memories=settings.max_memories,
        grouping=grouping,
        originals=_ORIGINALS[settings.originals],
        is_warming=settings.recalled == "warm",
        max_tokens=settings.max_tokens,
        timeout=settings.timeout,
        budget_tokens=settings.budget_tokens,
        budget_seconds=settings.budget_seconds,
    )


def _bytes(text: str, name: str) -> int:
    return parse_bytes(text, name) if text.strip() else 0
