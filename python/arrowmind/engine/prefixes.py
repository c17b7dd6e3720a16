"""What sequences have in common: caches of ended ones are kept, so that a prompt need not be read again."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from arrowmind.engine.jobs import BatchDecoder

__all__ = ["KeptPrefixes", "common_length"]

_GLANCE = 16  # most pairs differ here already


def common_length(left: Sequence[int], right: Sequence[int]) -> int:
    """Length of the longest common beginning of two lists.

    By halves, so that the comparisons are those of whole slices: much faster than a loop.
    """
    low, high = 0, min(len(left), len(right))
    if left[:_GLANCE] != right[:_GLANCE]:
        high = min(high, _GLANCE)
    while low < high:
        middle = (low + high + 1) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


class KeptPrefixes:
    """Sequences of a decoder that nobody writes to any more, the least recently used one first to go."""

    def __init__(self, decoder: BatchDecoder, most: int, longest_cut: int | None = None) -> None:
        """Without any.

        Args:
            decoder: Whose they are.
            most: How many to keep.
            longest_cut: A beginning that leaves out more of a sequence's last tokens is none; None: any is.
        """
        self._decoder, self._most = decoder, most
        self._longest_cut = longest_cut
        self._kept: OrderedDict[int, list[int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, handle: int, tokens: list[int]) -> None:
        """Takes over a sequence; of two that begin alike, the longer one is enough."""
        for other, shorter in list(self._kept.items()):
            if len(shorter) <= len(tokens) and tokens[: len(shorter)] == shorter:
                self._close(other)
        begins_another = self._longest_cut is None and any(
            longer[: len(tokens)] == tokens for longer in self._kept.values()
        )
        if not tokens or self._most == 0 or begins_another:
            self._decoder.close(handle)
            return
        self._kept[handle] = tokens
        if len(self._kept) > self._most:
            self.evict()

    def evict(self) -> bool:
        """Frees the least recently used one; False if there is none."""
        if not self._kept:
            return False
        self._close(next(iter(self._kept)))
        return True

    def clear(self) -> None:
        """Frees all."""
        while self.evict():
            pass

    def longest(self, prompt: list[int], living: Iterable[tuple[int, list[int]]]) -> tuple[int, int]:
        """Handle and length of the longest beginning of `prompt` that is in the cache.

        Args:
            prompt: Token ids.
            living: Handles and tokens of sequences that go on.

        Returns:
            Length 0 if there is none.
        """
        best = (-1, 0)
        for handle, tokens in [*living, *self._kept.items()]:
            length = common_length(prompt, tokens)
            is_near = self._longest_cut is None or len(tokens) - length <= self._longest_cut
            if length > best[1] and is_near:
                best = (handle, length)
        if best[0] in self._kept:
            self._kept.move_to_end(best[0])
        return best

    def _close(self, handle: int) -> None:
        del self._kept[handle]
        self._decoder.close(handle)
