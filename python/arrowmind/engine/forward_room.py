"""How large forwards on a device may be: enough rows to fill it, in no more than a share of its room."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["MOST_ROWS", "ForwardBound", "ForwardRoom", "bound_of"]

# Enough for the large tiles of any product, and for each weight to be read once for all of them.
MOST_ROWS = 4096
# Buffers of forwards are kept by size: of a sixteenth of the room four are a quarter of it.
_ROOM_SHARE, _KEPT = 16, 4
_LEAST_BYTES, _SMALL_BYTES = 64 << 20, 1 << 20


class ForwardBound(NamedTuple):
    """The most of one forward on a device.

    Attributes:
        bytes: of its buffers.
        rows: of it.
        fills: whether prompts come in as many rows as that, and not in as many as the CPU reads at once.
    """

    bytes: int
    rows: int
    fills: bool

    @property
    def kept_bytes(self) -> int:
        """Of buffers that are kept for later; of small forwards always, as graphs are of a buffer."""
        return _KEPT * max(self.bytes, _SMALL_BYTES)

    def rows_beside(self, rows: int) -> int:
        """The most that a prompt brings at once where the CPU reads `rows`."""
        return self.rows if self.fills else min(rows, self.rows)


class ForwardRoom(NamedTuple):
    """What forwards of a language model take of a device, before there is one.

    Attributes:
        row: bytes of each row, at most.
        rows: as many as the CPU reads at once.
        logits: bytes of the rows of logits that come together.
    """

    row: int
    rows: int
    logits: int


def bound_of(room: int, most_place_bytes: int, most_rows: int, *, shares_host_memory: bool) -> ForwardBound:
    """The bound of a device with so much room.

    A forward is one buffer. Where a kernel takes no more than so much of one at a place, half of that serves,
    as tables of pages come on top. Memory that is the host's belongs to a device of the pace of the CPU:
    who waits for a prompt waits long there, and rows in hundreds fill it.

    Args:
        room: bytes that may be taken of it; 0 where it does not say.
        most_place_bytes: of its description; 0: no bound.
        most_rows: that are asked for; 0: as many as fill a device.
        shares_host_memory: of its description.
    """
    size = max(_LEAST_BYTES, room // _ROOM_SHARE)
    if most_place_bytes:
        size = min(size, most_place_bytes // 2)
    return ForwardBound(size, most_rows or MOST_ROWS, not shares_host_memory)
