"""What callers hand in, checked and in the form the store keeps."""

from __future__ import annotations

import json
import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind.errors import InvalidArgumentError
from arrowmind.memory.rows import NO_CATEGORY
from arrowmind.memory.tables import NewRecord
from arrowmind.memory.times import NEVER, Moment, now_microseconds, to_microseconds
from arrowmind.memory.vectors import pack_vectors, quantise

if TYPE_CHECKING:
    from arrowmind.memory.encoder import FloatArray

__all__ = ["Draft", "check_ids", "check_text", "check_top_k", "clean_text", "make_drafts", "make_records"]

_MAX_TEXT_CHARACTERS = 16 << 20
_MAX_METADATA_BYTES = 1 << 20
_MAX_CATEGORY_CHARACTERS = 256
_MAX_TOP_K = 100_000


@dataclass(frozen=True)
class Draft:
    """A memory before it has vectors and a number."""

    text: str
    category: str | None
    metadata: bytes
    timestamp: int
    expires: int


def make_records(
    drafts: Sequence[Draft], vectors: Sequence[FloatArray], categories: Mapping[str, int]
) -> list[NewRecord]:
    """The rows to store.

    Args:
        drafts: the memories.
        vectors: of each, float32 [windows, dimension].
        categories: numbers by name.
    """
    codes, scales = quantise(np.concatenate(vectors))
    records, start = [], 0
    for draft, part in zip(drafts, vectors, strict=True):
        end = start + len(part)
        records.append(
            NewRecord(
                text=draft.text.encode(),
                category=categories[draft.category] if draft.category is not None else NO_CATEGORY,
                metadata=draft.metadata,
                timestamp=draft.timestamp,
                expires=draft.expires,
                windows=len(part),
                vectors=pack_vectors(codes[start:end], scales[start:end]),
            )
        )
        start = end
    return records


def clean_text(text: str) -> str:
    """The text with lone surrogates replaced by U+FFFD, as the engine does, and pairs of them joined."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


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


def check_top_k(top_k: object) -> int:
    """A number of memories to recall."""
    try:
        number = operator.index(top_k)  # type: ignore[arg-type]
    except TypeError:
        number = 0
    if isinstance(top_k, bool) or not 1 <= number <= _MAX_TOP_K:
        raise InvalidArgumentError(f"top_k={top_k!r}: give a whole number from 1 to {_MAX_TOP_K}")
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


def make_drafts(
    texts: object, category: object, metadata: object, timestamp: object, expires: object
) -> list[Draft]:
    """Checks the arguments of `remember_many`; all but `texts` are one value for all or one per text.

    Raises:
        InvalidArgumentError: any of them cannot be used; nothing has been stored then.
    """
    if isinstance(texts, str) or not isinstance(texts, Iterable):
        raise InvalidArgumentError(f"texts is {type(texts).__name__}; give a list of strings")
    checked = [check_text(text, f"texts[{i}]") for i, text in enumerate(texts)]
    count, now = len(checked), now_microseconds()
    columns = zip(
        checked,
        [_category(value) for value in _spread(category, count, "category")],
        [_metadata(value) for value in _spread(metadata, count, "metadata")],
        [_timestamp(value, now) for value in _spread(timestamp, count, "timestamp")],
        [_expiry(value, now) for value in _spread(expires, count, "expires")],
        strict=True,
    )
    return [Draft(*values) for values in columns]


def _spread(value: object, count: int, name: str) -> Sequence[Any]:
    if isinstance(value, str | Mapping) or not isinstance(value, Sequence):
        return [value] * count
    if len(value) != count:
        raise InvalidArgumentError(f"{name} has {len(value)} values for {count} texts; give one or one each")
    return value


def _category(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip() or len(value) > _MAX_CATEGORY_CHARACTERS:
        raise InvalidArgumentError(
            f"category={value!r:.80}: give a string of 1 to {_MAX_CATEGORY_CHARACTERS} characters"
        )
    return clean_text(value)


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
