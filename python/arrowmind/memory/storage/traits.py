"""What every memory has beside its content: where it belongs, where it comes from, what it holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from arrowmind.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "DEFAULT_NAMESPACE",
    "FULL_TRUST",
    "HAS_AUDIO",
    "HAS_IMAGE",
    "HAS_TEXT",
    "MODALITIES",
    "NO_CATEGORY",
    "ORIGINS",
    "Traits",
    "modalities_of",
    "origin_number",
    "presence_of",
    "trust_number",
]

NO_CATEGORY = 0
"""Stands for "no category" in the columns of a store."""
DEFAULT_NAMESPACE = "default"
"""Namespace of memories that are given none; its number is 0."""
ORIGINS = ("user", "agent", "tool", "web", "derived")
"""Who says what a memory holds, by number. What is derived is never a source again."""
_TRUST = {"user": 1.0, "agent": 0.8, "tool": 0.6, "web": 0.3, "derived": 0.8}
FULL_TRUST = 100
"""The column `trust` counts in hundredths."""

HAS_TEXT, HAS_IMAGE, HAS_AUDIO = 1, 2, 4
MODALITIES = {"text": HAS_TEXT, "image": HAS_IMAGE, "audio": HAS_AUDIO}
"""Bits of the column `presence`."""


@dataclass(frozen=True)
class Traits:
    """Numbers that stand in every row of a memory.

    Attributes:
        category: number of its category, `NO_CATEGORY` for none.
        namespace: number of its namespace, 0 for the default one.
        origin: place in `ORIGINS`.
        trust: in hundredths.
        presence: bits of what it holds, see `MODALITIES`.
    """

    category: int = NO_CATEGORY
    namespace: int = 0
    origin: int = 0
    trust: int = FULL_TRUST
    presence: int = HAS_TEXT

    @property
    def numbers(self) -> tuple[int, int, int, int, int]:
        """All, in the order of the columns."""
        return self.category, self.namespace, self.origin, self.trust, self.presence


def origin_number(origin: object) -> int:
    """Place of an origin in `ORIGINS`.

    Raises:
        InvalidArgumentError: there is none of this name.
    """
    if origin not in ORIGINS:
        raise InvalidArgumentError(f"origin={origin!r}: give one of {', '.join(ORIGINS)}")
    return ORIGINS.index(str(origin))


def trust_number(trust: object, origin: str) -> int:
    """Hundredths of a trust between 0 and 1; None stands for what an origin is trusted by itself.

    Raises:
        InvalidArgumentError: it is no such number.
    """
    value = _TRUST[origin] if trust is None else trust
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise InvalidArgumentError(f"trust={trust!r}: give a number from 0 to 1")
    return round(value * FULL_TRUST)


def presence_of(modality: object) -> int:
    """Bit of a modality.

    Raises:
        InvalidArgumentError: there is none of this name.
    """
    if modality not in MODALITIES:
        raise InvalidArgumentError(f"modality={modality!r}: give one of {', '.join(MODALITIES)}")
    return MODALITIES[str(modality)]


def modalities_of(presence: int) -> tuple[str, ...]:
    """Names of what a memory holds."""
    return tuple(name for name, bit in MODALITIES.items() if presence & bit)


def bits_of(modalities: Iterable[str]) -> int:
    """The inverse of `modalities_of`."""
    return sum(MODALITIES[name] for name in set(modalities))
