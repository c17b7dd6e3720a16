"""What one rendering of a template may cost, and the meter that ends it.

A template comes with a model, from anywhere. Three bounds hold together: every loop pass, call and filter is
a step; every value that an operation makes is paid for by its size written out in full, so that neither long
strings nor lists of lists of lists get large; and with each step the processor's time is looked at.
"""

from __future__ import annotations

import contextvars
import time
from typing import TYPE_CHECKING, Any

from arrowmind.errors import InvalidArgumentError
from arrowmind.frozen import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Budget", "TemplateLimits", "current"]

_DEEPEST = 64  # lists in lists; indentation is bounded by it
_NODE = 16  # characters that a value of any kind counts as, so that there are not too many to look at


@dataclass(frozen=True)
class TemplateLimits:
    """Most that one rendering may use.

    Attributes:
        steps: Passes of loops, calls and filters.
        characters: Characters of all values made, beside 64 times the messages' own.
        seconds: Time of the processor.
        depth: Calls within calls.
    """

    steps: int = 1_000_000
    characters: int = 16 << 20
    seconds: float = 5.0
    depth: int = 200


class Budget:
    """What is left for the rendering under way."""

    def __init__(self, limits: TemplateLimits, inputs: Iterable[Any] = ()) -> None:
        self._limits = limits
        self._steps = limits.steps
        self._characters = limits.characters
        self._deadline = time.thread_time() + limits.seconds
        self.depth = 0
        for value in inputs:
            self._characters += 64 * self.measure(value, 1 << 40)

    def step(self) -> None:
        """One pass of a loop, call or filter."""
        self._steps -= 1
        if self._steps < 0:
            raise InvalidArgumentError(
                f"the chat template takes more than {self._limits.steps} steps; use another template"
            )
        if time.thread_time() > self._deadline:
            raise InvalidArgumentError(
                f"the chat template takes more than {self._limits.seconds} s; it loops: use another template"
            )

    def enter(self) -> None:
        """One call deeper."""
        self.depth += 1
        if self.depth > self._limits.depth:
            raise InvalidArgumentError(
                f"the chat template has calls more than {self._limits.depth} deep; use another template"
            )

    def check(self, characters: int) -> None:
        """Refuses what is going to be larger than what is left."""
        if characters > self._characters:
            raise InvalidArgumentError(
                f"the chat template makes more than {self._limits.characters} characters of its own; "
                "use another template"
            )

    def charge(self, characters: int) -> None:
        """Takes `characters` off what is left."""
        self.check(characters)
        self._characters -= characters

    def pay(self, value: Any) -> Any:
        """Charges the size of `value`, and gives it back."""
        self.charge(len(value) if type(value) is str else self.measure(value, self._characters))
        return value

    def measure(self, value: Any, most: int) -> int:
        """Characters that `value` would take written out, roughly; not looked at far beyond `most`."""
        size, waiting = 0, [(value, 0)]
        while waiting and size <= most:
            item, depth = waiting.pop()
            size += _NODE
            if isinstance(item, str):
                size += len(item)
            elif isinstance(item, int):
                size += item.bit_length() >> 2
            elif isinstance(item, (list, tuple, dict)):
                if depth == _DEEPEST:
                    raise InvalidArgumentError(
                        f"the chat template or a message nests lists or objects more than {_DEEPEST} deep"
                    )
                parts = [*item, *item.values()] if isinstance(item, dict) else item
                waiting.extend((part, depth + 1) for part in parts)
        return size


current: contextvars.ContextVar[Budget] = contextvars.ContextVar("arrowmind.template_budget")
