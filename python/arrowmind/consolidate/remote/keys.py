"""API keys: from a file of mode 600 or from the environment, never from settings or the command line."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from arrowmind.errors import ConfigurationError
from arrowmind.weights.encryption.secret import read_private_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from arrowmind.consolidate.remote.base import ProviderSettings

__all__ = ["api_key"]


def api_key(
    settings: ProviderSettings, variable: str, env: Mapping[str, str] | None = None, *, needed: bool = True
) -> str:
    """The key a provider is asked with.

    Args:
        settings: name the file or another variable.
        variable: the provider's usual one.
        env: the environment; None takes that of the process.
        needed: whether to go on without one is an error.

    Raises:
        ConfigurationError: there is none, others may read its file, or it cannot stand in a header.
    """
    name = settings.key_variable or variable
    if settings.key_file:
        key, origin = read_private_line(settings.key_file), settings.key_file
    else:
        key, origin = (os.environ if env is None else env).get(name, ""), f"the environment variable {name}"
    key = key.strip()
    if not key and needed:
        raise ConfigurationError(
            f"{origin}: holds no API key; set {name}, or name a file of mode 600 in consolidation.key_file"
        )
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise ConfigurationError(f"{origin}: holds signs that no API key has; copy it again")
    return key
