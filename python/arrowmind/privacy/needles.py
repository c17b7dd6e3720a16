"""What of a text or vector must not be found again, in pieces that a file's pages cannot hide."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

__all__ = ["MIN_BYTES", "Sieve", "pieces_of", "text_forms"]

MIN_BYTES = 12
"""What is shorter says nothing: it stands in other texts, too."""

PIECE_BYTES = 64
"""What is longer than two pieces is looked for by pieces: any 127 bytes left of it hold a whole one."""

_FEW = 12
_ANCHOR = 8
_TABLE_LOG2 = 20
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(64 - _TABLE_LOG2)


def text_forms(text: str) -> list[bytes]:
    """A text as files hold it: in UTF-8, and inside of JSON if that is written otherwise."""
    plain = text.encode("utf-8", "surrogatepass")
    forms = [plain]
    for ascii_only in (True, False):
        written = json.dumps(text, ensure_ascii=ascii_only)[1:-1].encode("utf-8", "surrogatepass")
        forms += [written] if written not in forms else []
    return forms


def pieces_of(needle: bytes) -> list[bytes]:
    """The needle, or its pieces if it is longer than two; none of one that is too short."""
    if len(needle) < MIN_BYTES:
        return []
    if len(needle) <= 2 * PIECE_BYTES:
        return [needle]
    starts = [*range(0, len(needle) - PIECE_BYTES, PIECE_BYTES), len(needle) - PIECE_BYTES]
    return [piece for start in starts if len(set(piece := needle[start : start + PIECE_BYTES])) > 1]


class Sieve:
    """Finds many pieces at once: eight bytes of each are looked up in a table at every place of the text."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        """Takes pieces of at least `MIN_BYTES` bytes."""
        self._pieces = pieces
        self.lengths = list(map(len, pieces))
        self.overlap = max(self.lengths, default=1) - 1
        self._anchors: dict[int, list[tuple[int, int]]] = {}
        self._table = np.zeros(1 << _TABLE_LOG2, np.bool_)
        if len(pieces) > _FEW:
            for index, piece in enumerate(pieces):
                self._add(index, piece)

    def _add(self, index: int, piece: bytes) -> None:
        """Looks for the piece by those of its bytes that the fewest others are looked for by."""
        last = len(piece) - _ANCHOR
        places = sorted({last // 2, last // 3, 2 * last // 3, last, 0})
        values = [int.from_bytes(piece[place : place + _ANCHOR], "little") for place in places]
        best = min(range(len(places)), key=lambda choice: len(self._anchors.get(values[choice], ())))
        self._anchors.setdefault(values[best], []).append((index, places[best]))
        self._table[_slots(np.array([values[best]], np.uint64))] = True

    def find(self, data: bytes) -> Iterator[tuple[int, int]]:
        """Place and index of each piece in the data, in no order."""
        if self._anchors:
            yield from self._find_many(data)
            return
        for index, piece in enumerate(self._pieces):
            place = data.find(piece)
            while place >= 0:
                yield place, index
                place = data.find(piece, place + 1)

    def _find_many(self, data: bytes) -> Iterator[tuple[int, int]]:
        for shift in range(min(_ANCHOR, max(0, len(data) - _ANCHOR + 1))):
            words = np.frombuffer(data, "<u8", count=(len(data) - shift) // _ANCHOR, offset=shift)
            hits = np.flatnonzero(self._table[_slots(words)])
            for word, hit in zip(words[hits].tolist(), hits.tolist(), strict=True):
                for index, offset in self._anchors.get(word, ()):
                    place = hit * _ANCHOR + shift - offset
                    piece = self._pieces[index]
                    if place >= 0 and data[place : place + len(piece)] == piece:
                        yield place, index


def _slots(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    slots: NDArray[np.uint64] = (words * _FACTOR) >> _SHIFT
    return slots
