"""What memories share by a field of their records: sessions, categories, origins."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind.errors import InvalidArgumentError
from arrowmind.memory.ranking.pool import UNLABELLED
from arrowmind.memory.storage.numbering import distinct
from arrowmind.memory.storage.traits import NO_CATEGORY

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

    from arrowmind.memory.records import Record
    from arrowmind.memory.storage.rows import Rows
    from arrowmind.memory.storage.snapshot import Snapshot

    IntArray = npt.NDArray[np.int64]

__all__ = ["Labels", "check_field", "field_of"]

_COLUMNS = {"category": "categories", "namespace": "namespaces", "origin": "origins"}
_METADATA = "metadata."


def check_field(name: object) -> str | None:
    """The name of a field that memories may be put together by; None stays None.

    Raises:
        InvalidArgumentError: it is none.
    """
    if name is None or (isinstance(name, str) and (name in _COLUMNS or _key(name))):
        return name
    known = ", ".join(_COLUMNS)
    raise InvalidArgumentError(
        f"by={name!r:.80}: give {known}, or metadata.NAME for what memories have under NAME"
    )


def _key(name: str) -> str:
    """The key of the metadata that a field names, or nothing."""
    return name.removeprefix(_METADATA) if name.startswith(_METADATA) else ""


def field_of(record: Record, name: str) -> Any:
    """What a memory has in such a field; None for nothing."""
    key = _key(name)
    return record.metadata.get(key) if key else getattr(record, name)


class Labels:
    """Numbers memories of one snapshot by a field: those of one namespace with one value have one label."""

    def __init__(self, snapshot: Snapshot, name: str | None) -> None:
        """By a field as `check_field` knows it; None labels nothing."""
        self._snapshot, self._name = snapshot, name
        self._numbers: dict[tuple[int, object], int] = {}
        self._known: dict[int, int] = {}

    def __bool__(self) -> bool:
        return self._name is not None

    def of(self, ids: Sequence[int]) -> IntArray:
        """Labels of some memories, int64 [n]; `UNLABELLED` for those without a value."""
        if self._name is None:
            return np.full(len(ids), UNLABELLED, dtype=np.int64)
        missing = distinct(np.array([id_ for id_ in ids if id_ not in self._known], dtype=np.int64))
        for block, rows in self._snapshot.home.grouped(missing):
            if block.dead is not None:
                rows = rows[~block.dead[rows]]
            keys = zip(block.rows.namespaces[rows].tolist(), self._values(block.rows, rows), strict=True)
            self._known.update(zip(block.rows.ids[rows].tolist(), map(self._number, keys), strict=True))
        return np.array([self._known.get(id_, UNLABELLED) for id_ in ids], dtype=np.int64)

    def _number(self, key: tuple[int, object]) -> int:
        return UNLABELLED if key[1] is None else self._numbers.setdefault(key, len(self._numbers))

    def _values(self, rows: Rows, chosen: IntArray) -> Iterable[object]:
        name = self._name or ""
        if key := _key(name):
            return (_value(bytes(rows.metadata[row]), key) for row in chosen.tolist())
        numbers = getattr(rows, _COLUMNS[name])[chosen].tolist()
        return (None if name == "category" and number == NO_CATEGORY else number for number in numbers)


# Memories of one session may have the same metadata.
@lru_cache(maxsize=256)
def _value(metadata: bytes, key: str) -> str | None:
    """What stands under a key, told apart from all else; None for nothing.

    What is damaged is found when the memory is read.
    """
    try:
        value = json.loads(metadata.decode()).get(key) if metadata else None
        if isinstance(value, str):
            return f'"{value}'
        return None if value is None else json.dumps(value, sort_keys=True)
    except (ValueError, AttributeError, RecursionError):
        return None
