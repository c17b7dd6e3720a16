"""What a profile sets: settings that go together for short waits, or for many texts at once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from arrowmind.config.keys import Origin, keys
from arrowmind.config.settings import PROFILES, Config
from arrowmind.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["overridden", "profile_values", "with_profile"]

_KEY = "residency.profile"
_KIND = "profile"
# What `balanced` does are the defaults; each profile tells of all knobs. No profile bounds the layers in
# memory, or the blocks on a device: fewer of them than fit are never faster. From where on blocks are sent
# to a device, and experts brought, follows from what was measured; how much of it blocks on their way may
# have does not: each that they displace makes the next tokens of few texts slower, and pays for many prompts.
_VALUES: Mapping[str, tuple[Any, Any]] = {
    # key: low_latency, high_throughput
    "residency.max_layers": (0, 0),
    "residency.ahead": (4, 1),
    "residency.expert_threshold": (0.75, 1.0),
    "residency.overlap": (True, True),
    "generation.max_streams": (4, 256),
    "generation.prompt_tokens": (512, 2048),
    "generation.shared_prompt_tokens": (16, 512),
    "generation.prefill_chunk": (512, 2048),
    "device.most_used": (0.98, 0.98),
    "device.blocks": (-1, -1),
    "device.prompt_rows": (-1, -1),
    "device.prompt_share": (0.1, 0.5),
    "device.expert_threshold": (-1.0, -1.0),
}


def profile_values(name: str) -> dict[str, Any]:
    """The value that a profile gives each of its keys.

    Raises:
        ConfigurationError: there is no such profile.
    """
    if name not in PROFILES:
        raise ConfigurationError(f"profile {name!r}; use one of {', '.join(PROFILES)}")
    if name == "balanced":
        return {key: keys(Config)[key].default for key in _VALUES}
    return {key: values[0 if name == "low_latency" else 1] for key, values in _VALUES.items()}


def with_profile(config: Config, name: str = "") -> Config:
    """The configuration as its profile, or another one, has it. Keys that were set win over it.

    Args:
        config: what is set.
        name: of a profile; empty takes `residency.profile`.

    Raises:
        ConfigurationError: there is no such profile.
    """
    values = profile_values(name or config.residency.profile)
    origins = dict(config.origins)
    free = {}
    for key, value in values.items():
        if config.origin(key).kind == _KIND:  # of an earlier profile
            del origins[key]
        elif key in origins or config.get(key) != keys(Config)[key].default:
            continue
        free[key] = value
        if value != keys(Config)[key].default:
            origins[key] = Origin(_KIND, f"profile {name or config.residency.profile}")
    return replace(_replaced(config, {**free, **({_KEY: name} if name else {})}), origins=origins)


def overridden(config: Config, values: Mapping[str, Any]) -> Config:
    """The configuration with these values by full key name, which no profile changes."""
    origins = {**config.origins, **{key: Origin("argument") for key in values}}
    return replace(_replaced(config, values), origins=origins)


def _replaced(config: Config, values: Mapping[str, Any]) -> Config:
    sections: dict[str, dict[str, Any]] = {}
    for path, value in values.items():
        section, _, key = path.partition(".")
        sections.setdefault(section, {})[key] = value
    return replace(
        config, **{name: replace(getattr(config, name), **found) for name, found in sections.items()}
    )
