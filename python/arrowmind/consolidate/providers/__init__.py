"""Language models by name, one file each.

A module gives ``open_provider(settings: ProviderSettings) -> Provider``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from arrowmind.consolidate import registry

if TYPE_CHECKING:
    from arrowmind.consolidate.remote import Provider, ProviderSettings

__all__ = ["open_provider", "provider_names"]


def provider_names() -> list[str]:
    """The providers there are."""
    return registry.names(__name__)


def open_provider(name: str, settings: ProviderSettings) -> Provider:
    """A language model.

    Raises:
        ConfigurationError: the name is unknown, or the settings lack something.
    """
    module = registry.load(__name__, name, "consolidation.provider")
    provider: Provider = module.open_provider(settings)
    return provider
