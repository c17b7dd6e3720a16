"""A store above its bound, told once until it was below again."""

from __future__ import annotations

from dataclasses import dataclass, field

from arrowmind.errors import ConfigurationError

__all__ = ["PressureTrigger"]


@dataclass
class PressureTrigger:
    """Fires above `high`, and again only after it was below `low` or has grown by as much as lies between.

    A run that finds nothing to free is so not begun again at once, for ever.

    Attributes:
        high: bytes above which it fires; 0 never does.
        low: bytes below which it is set again.
    """

    high: int
    low: int
    _fired_at: int | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        if self.high < 0 or self.low < 0 or (self.high and self.low >= self.high):
            raise ConfigurationError(
                f"pressure from {self.high} bytes down to {self.low}: the second must be below the first"
            )

    def fires(self, size: int) -> bool:
        """Whether a store of this size is to be consolidated now."""
        if not self.high:
            return False
        if size < self.low:
            self._fired_at = None
        if size <= self.high:
            return False
        if self._fired_at is not None and size < self._fired_at + (self.high - self.low):
            return False
        self._fired_at = size
        return True
