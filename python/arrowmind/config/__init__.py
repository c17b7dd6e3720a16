"""Settings: dataclasses, filled from defaults, one YAML file, the environment and arguments.

::

    sections/  the sections and their keys, as data
    settings   all of them together
    keys       one key: its name, type, limits, environment variable; text -> value
    sources    YAML file and environment -> raw values with their origin
    profiles   values that go together, for keys that are not set
    loader     the merge, in order of precedence, and what was wrong with it
    defaults   what calls from Python take for arguments that are not given
"""

from __future__ import annotations

from arrowmind.config.defaults import default_config
from arrowmind.config.keys import Key, Origin, Problem, keys
from arrowmind.config.loader import apply_native, find_config_file, load_config, read_config, report_problems
from arrowmind.config.profiles import overridden, profile_values, with_profile
from arrowmind.config.settings import (
    PROFILES,
    Config,
    ConsolidationSettings,
    DeviceSettings,
    GenerationSettings,
    LogSettings,
    MemorySettings,
    ModelSettings,
    PrecisionSettings,
    PrivacySettings,
    QuantizationSettings,
    ResidencySettings,
    ServerSettings,
    StreamingSettings,
    WeightSettings,
)
from arrowmind.config.sources import API_KEY_VARIABLE, KEY_VARIABLE

__all__ = [
    "API_KEY_VARIABLE",
    "KEY_VARIABLE",
    "PROFILES",
    "Config",
    "ConsolidationSettings",
    "DeviceSettings",
    "GenerationSettings",
    "Key",
    "LogSettings",
    "MemorySettings",
    "ModelSettings",
    "Origin",
    "PrecisionSettings",
    "PrivacySettings",
    "Problem",
    "QuantizationSettings",
    "ResidencySettings",
    "ServerSettings",
    "StreamingSettings",
    "WeightSettings",
    "apply_native",
    "default_config",
    "find_config_file",
    "keys",
    "load_config",
    "overridden",
    "profile_values",
    "read_config",
    "report_problems",
    "with_profile",
]
