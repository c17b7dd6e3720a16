"""All sections together. File, environment and guide follow their keys."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any

from arrowmind.config.keys import Origin, Problem, keys
from arrowmind.config.sections.memory import ConsolidationSettings, MemorySettings, PrivacySettings
from arrowmind.config.sections.models import DeviceSettings, GenerationSettings, ModelSettings, WeightSettings
from arrowmind.config.sections.quantization import PrecisionSettings, QuantizationSettings
from arrowmind.config.sections.residency import PROFILES, ResidencySettings, StreamingSettings
from arrowmind.config.sections.service import LogSettings, ServerSettings
from arrowmind.frozen import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "PROFILES",
    "Config",
    "ConsolidationSettings",
    "DeviceSettings",
    "GenerationSettings",
    "LogSettings",
    "MemorySettings",
    "ModelSettings",
    "PrecisionSettings",
    "PrivacySettings",
    "QuantizationSettings",
    "ResidencySettings",
    "ServerSettings",
    "StreamingSettings",
    "WeightSettings",
]


@dataclass(frozen=True)
class Config:
    """All settings, with the origin of each and what was wrong on the way.

    Attributes:
        origins: Origin of every key that is not at its default.
        problems: Values and keys that could not be used.
        file: The YAML file that was read, empty if none.
    """

    model: ModelSettings = field(default_factory=ModelSettings)
    weights: WeightSettings = field(default_factory=WeightSettings)
    device: DeviceSettings = field(default_factory=DeviceSettings)
    quantization: QuantizationSettings = field(default_factory=QuantizationSettings)
    precision: PrecisionSettings = field(default_factory=PrecisionSettings)
    generation: GenerationSettings = field(default_factory=GenerationSettings)
    residency: ResidencySettings = field(default_factory=ResidencySettings)
    streaming: StreamingSettings = field(default_factory=StreamingSettings)
    server: ServerSettings = field(default_factory=ServerSettings)
    memory: MemorySettings = field(default_factory=MemorySettings)
    privacy: PrivacySettings = field(default_factory=PrivacySettings)
    consolidation: ConsolidationSettings = field(default_factory=ConsolidationSettings)
    log: LogSettings = field(default_factory=LogSettings)
    origins: dict[str, Origin] = field(default_factory=dict, compare=False)
    problems: tuple[Problem, ...] = field(default=(), compare=False)
    file: str = field(default="", compare=False)

    def get(self, key: str) -> Any:
        """Value of a key by its full name, for instance `device.threads`.

        Raises:
            KeyError: there is no such key.
        """
        section, _, name = key.partition(".")
        if key not in keys(Config):
            raise KeyError(key)
        return getattr(getattr(self, section), name)

    def origin(self, key: str) -> Origin:
        """Where the value of a key comes from.

        Raises:
            KeyError: there is no such key.
        """
        if key not in keys(Config):
            raise KeyError(key)
        return self.origins.get(key, Origin())

    def items(self) -> Iterator[tuple[str, Any]]:
        """Full name and value of every key."""
        return ((key, self.get(key)) for key in keys(Config))
