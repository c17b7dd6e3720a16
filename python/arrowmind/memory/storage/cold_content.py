"""Memories on their way into a cold file, gathered from segments and other cold files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind.memory.storage.rows import TRAITS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from arrowmind.memory.storage.rows import Rows

    IntArray = npt.NDArray[np.int64]
    Mask = npt.NDArray[np.bool_]

__all__ = ["NUMBERS", "ColdContent", "Selection", "gathered"]

NUMBERS = (
    *("id", "timestamp", "expires", "category", "namespace"),
    *("origin", "trust", "presence", "windows", "kept"),
)
"""Numbers of a cold memory: ``windows`` is how many codes it has, ``kept`` is 1 if its vectors are there."""

_COLUMNS = {
    **{"id": "ids", "timestamp": "timestamps", "expires": "expires"},
    **dict(zip(("category", "namespace", "origin", "trust", "presence"), TRAITS, strict=True)),
}


@dataclass(frozen=True)
class ColdContent:
    """Memories by ascending id.

    Attributes:
        numbers: int64 [n] for each of `NUMBERS`.
        texts: UTF-8 [n].
        metadata: JSON in UTF-8 [n], empty for none.
        signs: uint8 [vectors, bytes], the one-bit codes of each memory behind each other.
        codes: int8 [kept, dimension], the vectors of those memories that are to be kept.
        scales: float32 [kept], of these.
        tried: fingerprint of the encoder that does not make these again; empty if none was there.
    """

    numbers: dict[str, IntArray]
    texts: Sequence[bytes]
    metadata: Sequence[bytes]
    signs: npt.NDArray[np.uint8]
    codes: npt.NDArray[np.int8]
    scales: npt.NDArray[np.float32]
    tried: str = ""


@dataclass(frozen=True)
class Selection:
    """Rows of one place that go into a cold file.

    Attributes:
        rows: of a segment or of a cold file.
        chosen: bool [n], which of them; all rows of a memory or none.
        kept: bool [n], of which of the chosen the vectors go along.
    """

    rows: Rows
    chosen: Mask
    kept: Mask

    @property
    def firsts(self) -> IntArray:
        """First rows of the chosen memories."""
        first = self.rows.first_rows
        return first[self.chosen[first]]


def gathered(parts: Sequence[Selection], tried: str) -> ColdContent | None:
    """Rows of several places as cold memories; None if there are none."""
    firsts = [part.firsts for part in parts]
    ids = np.concatenate([part.rows.ids[first] for part, first in zip(parts, firsts, strict=True)])
    if not len(ids):
        return None
    order = np.argsort(ids, kind="stable")

    def column(name: str) -> Any:
        pairs = zip(parts, firsts, strict=True)
        return np.concatenate([getattr(part.rows, name)[first] for part, first in pairs])[order]

    def values(name: str) -> list[bytes]:
        pairs = zip(parts, firsts, strict=True)
        flat = [bytes(getattr(part.rows, name)[row]) for part, first in pairs for row in first.tolist()]
        return [flat[place] for place in order.tolist()]

    numbers = {name: column(_COLUMNS[name]).astype(np.int64) for name in NUMBERS if name in _COLUMNS}
    every: Any = np.concatenate([part.rows.ids[part.chosen] for part in parts])
    _, numbers["windows"] = np.unique(every, return_counts=True)
    kept = np.concatenate([part.kept[first] for part, first in zip(parts, firsts, strict=True)])
    numbers["kept"] = kept[order].astype(np.int64)
    signs = np.concatenate([_signs(part) for part in parts])
    return ColdContent(
        numbers,
        values("texts"),
        values("metadata"),
        signs[np.argsort(every, kind="stable")],
        *_kept_vectors(parts),
        tried,
    )


def _signs(part: Selection) -> npt.NDArray[np.uint8]:
    """One-bit codes of the chosen rows; what lies in a file has them."""
    return np.asarray(part.rows.signs)[part.chosen]


def _kept_vectors(parts: Sequence[Selection]) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    masks = [part.chosen & part.kept for part in parts]
    stored = [part.rows.stored_vectors(np.flatnonzero(mask)) for part, mask in zip(parts, masks, strict=True)]
    ids = np.concatenate([part.rows.ids[mask] for part, mask in zip(parts, masks, strict=True)])
    order = np.argsort(ids, kind="stable")
    codes, scales = (np.concatenate(columns)[order] for columns in zip(*stored, strict=True))
    return codes, scales
