"""What callers hand in, checked and in the form the store keeps."""

from __future__ import annotations

import json
import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind.errors import InvalidArgumentError
from arrowmind.memory.intake.media import check_media
from arrowmind.memory.storage.spaces import TEXT
from arrowmind.memory.storage.tables import NewRecord, SpaceVectors
from arrowmind.memory.storage.traits import (
    DEFAULT_NAMESPACE,
    MODALITIES,
    NO_CATEGORY,
    ORIGINS,
    Traits,
    origin_number,
    trust_number,
)
from arrowmind.memory.storage.vectors import pack_vectors, quantise
from arrowmind.memory.times import NEVER, Moment, now_microseconds, to_microseconds

if TYPE_CHECKING:
    from arrowmind.memory.encoder import FloatArray
    from arrowmind.memory.intake.media import Media

__all__ = [
    "Draft",
    "Numbers",
    "check_ids",
    "check_name",
    "check_text",
    "check_top_k",
    "clean_text",
    "make_drafts",
    "make_records",
]

_MAX_TEXT_CHARACTERS = 16 << 20
_MAX_METADATA_BYTES = 1 << 20
_MAX_NAME_CHARACTERS = 256
_MAX_TOP_K = 100_000
_SINGLE = (str, bytes, bytearray, memoryview, Mapping)


@dataclass(frozen=True)
class Draft:
    """A memory before it has vectors and a number."""

    text: str
    category: str | None
    metadata: bytes
    timestamp: int
    expires: int
    namespace: str
    origin: int
    trust: int
    media: tuple[Media, ...]

    @property
    def presence(self) -> int:
        """Bits of what it holds."""
        kinds = {item.kind for item in self.media} | ({"text"} if self.text else set())
        return sum(MODALITIES[kind] for kind in kinds)


@dataclass(frozen=True)
class Numbers:
    """Numbers of what callers name: categories, namespaces and spaces of vectors."""

    categories: Mapping[str, int]
    namespaces: Mapping[str, int]
    spaces: Mapping[str, int]


def make_records(
    drafts: Sequence[Draft], vectors: Mapping[str, Sequence[FloatArray | None]], numbers: Numbers
) -> list[NewRecord]:
    """The rows to store.

    Args:
        drafts: the memories.
        vectors: by name of their space, those of each memory, float32 [windows, dimension]; all memories have
            some in that of texts.
        numbers: of what the drafts name.
    """
    packed = {name: _pack(parts) for name, parts in vectors.items()}
    homes = packed.pop(TEXT)
    records = []
    for place, draft in enumerate(drafts):
        home = homes[place]
        if home is None:
            raise InvalidArgumentError(
                f"text {place} has no vector; give one, or open the store with an engine"
            )
        others = [(numbers.spaces[name], parts[place]) for name, parts in packed.items()]
        records.append(
            NewRecord(
                text=draft.text.encode(),
                traits=_traits(draft, numbers),
                metadata=draft.metadata,
                timestamp=draft.timestamp,
                expires=draft.expires,
                windows=home[0],
                vectors=home[1],
                others=tuple(SpaceVectors(space, *part) for space, part in others if part is not None),
                attachments=tuple(item.attachment for item in draft.media),
            )
        )
    return records


def _traits(draft: Draft, numbers: Numbers) -> Traits:
    return Traits(
        category=numbers.categories[draft.category] if draft.category is not None else NO_CATEGORY,
        namespace=numbers.namespaces[draft.namespace],
        origin=draft.origin,
        trust=draft.trust,
        presence=draft.presence,
    )


def _pack(parts: Sequence[FloatArray | None]) -> list[tuple[int, bytes] | None]:
    """(windows, packed vectors) of each memory that has some."""
    present = [part for part in parts if part is not None]
    codes, scales = quantise(np.concatenate(present))
    packed: list[tuple[int, bytes] | None] = []
    end = 0
    for part in parts:
        start, end = end, end + (0 if part is None else len(part))
        packed.append(
            None if part is None else (len(part), pack_vectors(codes[start:end], scales[start:end]))
        )
    return packed


def clean_text(text: str) -> str:
    """The text with lone surrogates replaced by U+FFFD, as the engine does, and pairs of them joined."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def check_name(value: object, what: str) -> str | None:
    """The name of a category or a namespace; None stays None.

    Raises:
        InvalidArgumentError: it can be none.
    """
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip() or len(value) > _MAX_NAME_CHARACTERS:
        raise InvalidArgumentError(
            f"{what}={value!r:.80}: give a string of 1 to {_MAX_NAME_CHARACTERS} characters"
        )
    return clean_text(value)


def check_text(text: object, name: str = "text") -> str:
    """A text that can be remembered.

    Raises:
        InvalidArgumentError: no string, nothing but white space, or too long.
    """
    if not isinstance(text, str):
        raise InvalidArgumentError(f"{name} is {type(text).__name__}; give a string")
    if not text.strip():
        raise InvalidArgumentError(f"{name} is empty; give at least one character that is not a blank")
    if len(text) > _MAX_TEXT_CHARACTERS:
        raise InvalidArgumentError(
            f"{name} has {len(text)} characters, more than {_MAX_TEXT_CHARACTERS}; remember it in parts"
        )
    return clean_text(text)


def check_top_k(top_k: object, name: str = "top_k") -> int:
    """A number of memories to recall."""
    try:
        number = operator.index(top_k)  # type: ignore[arg-type]
    except TypeError:
        number = 0
    if isinstance(top_k, bool) or not 1 <= number <= _MAX_TOP_K:
        raise InvalidArgumentError(f"{name}={top_k!r}: give a whole number from 1 to {_MAX_TOP_K}")
    return number


def check_ids(ids: object) -> list[int]:
    """One id or several, as a list without repetitions."""
    listed = ids if isinstance(ids, Iterable) and not isinstance(ids, str | bytes) else [ids]
    try:
        numbers = [operator.index(id_) for id_ in listed]  # type: ignore[arg-type]
    except TypeError as error:
        raise InvalidArgumentError(
            f"ids={ids!r}: give an id, or several, as remember() returned them"
        ) from error
    # SQLite stores 64 bits; no id is that large.
    return [number for number in dict.fromkeys(numbers) if 0 < number < 2**63]


def make_drafts(texts: object, columns: Mapping[str, object]) -> list[Draft]:
    """Checks the arguments of `remember_many`.

    Args:
        texts: one per memory; None or an empty one where an image or a sound speaks for itself.
        columns: the other arguments by name, each one value for all or one per text.

    Raises:
        InvalidArgumentError: any of them cannot be used; nothing has been stored then.
    """
    if isinstance(texts, str) or not isinstance(texts, Iterable):
        raise InvalidArgumentError(f"texts is {type(texts).__name__}; give a list of strings")
    texts, now = list(texts), now_microseconds()
    spread = {name: _spread(value, len(texts), name) for name, value in columns.items()}
    rows = (dict(zip(spread, values, strict=True)) for values in zip(*spread.values(), strict=True))
    return [_draft(i, text, row, now) for i, (text, row) in enumerate(zip(texts, rows, strict=True))]


def _draft(place: int, text: object, row: Mapping[str, Any], now: int) -> Draft:
    found = [check_media(row[kind], kind, f"{kind} of text {place}") for kind in ("image", "audio")]
    media = tuple(item for item in found if item is not None)
    wordless = media and (text is None or (isinstance(text, str) and not text.strip()))
    origin = origin_number(row["origin"])
    return Draft(
        text="" if wordless else check_text(text, f"texts[{place}]"),
        category=check_name(row["category"], "category"),
        metadata=_metadata(row["metadata"]),
        timestamp=_timestamp(row["timestamp"], now),
        expires=_expiry(row["expires"], now),
        namespace=check_name(row["namespace"], "namespace") or DEFAULT_NAMESPACE,
        origin=origin,
        trust=trust_number(row["trust"], ORIGINS[origin]),
        media=media,
    )


def _spread(value: object, count: int, name: str) -> Sequence[Any]:
    if getattr(value, "ndim", None) == 1 and hasattr(value, "__array__"):
        value = _plain(np.asarray(value))
    if isinstance(value, _SINGLE) or not isinstance(value, Sequence):
        return [value] * count
    if len(value) != count:
        raise InvalidArgumentError(f"{name} has {len(value)} values for {count} texts; give one or one each")
    return value


def _plain(column: np.ndarray[tuple[int], np.dtype[Any]]) -> list[Any]:
    """A column of NumPy, pandas and the like as values of Python; times without a zone are UTC, as there."""
    if column.dtype.kind == "M":
        column = column.astype("datetime64[us]")
    return [
        value.replace(tzinfo=timezone.utc) if isinstance(value, datetime) and value.tzinfo is None else value
        for value in column.tolist()
    ]


def _metadata(value: object) -> bytes:
    if value is None:
        return b""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise InvalidArgumentError(f"metadata is {type(value).__name__}; give a mapping with strings as keys")
    try:
        text = json.dumps(dict(value), allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidArgumentError(
            f"metadata cannot be written as JSON: {error}; use plain values"
        ) from error
    if len(text) > _MAX_METADATA_BYTES:
        raise InvalidArgumentError(
            f"metadata has {len(text)} bytes as JSON, more than {_MAX_METADATA_BYTES}; put it into the text"
        )
    return text.encode() if value else b""


def _timestamp(value: Moment | None, now: int) -> int:
    return now if value is None else to_microseconds(value, "timestamp")


def _expiry(value: Moment | timedelta | None, now: int) -> int:
    if value is None:
        return NEVER
    if isinstance(value, timedelta):
        return now + value // timedelta(microseconds=1)
    return to_microseconds(value, "expires")
