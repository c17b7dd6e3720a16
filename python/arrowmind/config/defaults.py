"""The configuration that calls from Python take their defaults from."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from arrowmind.config.loader import apply_native, load_config

if TYPE_CHECKING:
    from arrowmind.config.settings import Config

__all__ = ["default_config"]

_lock = threading.Lock()
_is_applied = False


def default_config(config: Config | None = None) -> Config:
    """The given configuration, or the one that applies now.

    The first call that reads one hands its part to the native core (`apply_native`). Later ones do not, for
    kernels may be running.

    Args:
        config: Returned as it is; the caller has applied it.

    Raises:
        ConfigurationError: it is read and cannot be used; see `load_config`.
    """
    global _is_applied
    if config is not None:
        return config
    config = load_config()
    with _lock:
        if not _is_applied:
            apply_native(config)
        _is_applied = True
    return config
