"""What a store gives back."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from arrowmind.memory.storage.traits import DEFAULT_NAMESPACE, ORIGINS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from arrowmind.memory.storage.attachments import Attachment
    from arrowmind.memory.storage.lifecycle_tables import Derivation

__all__ = [
    "CompactionReport",
    "Episode",
    "Explanation",
    "Hit",
    "Record",
    "Settlement",
    "SpaceMatch",
    "StoreStats",
    "TextMatch",
    "VectorMatch",
    "VerifyReport",
]


@dataclass(frozen=True)
class Record:
    """One memory.

    Attributes:
        id: number of the memory in its store, never used again.
        text: the text, as it was remembered.
        category: its category, if it has one.
        metadata: JSON values that were stored with it.
        timestamp: when it happened, in UTC.
        expires: when it is forgotten by itself, in UTC, if ever.
        access_count: how often it was recalled.
        last_access: when it was recalled last, in UTC.
        namespace: where it belongs.
        origin: who says it: `user`, `agent`, `tool`, `web` or `derived`.
        trust: how far to believe it, 0 to 1.
        modalities: what it holds: `text`, `image`, `audio`.
        attachments: its images and sounds; `MemoryStore.attachment` gives the bytes.
        tier: how close at hand it is kept: `hot`, `warm`, `cold` or `archived`.
        derivation: what it rests on, if it was derived from other memories.
    """

    id: int
    text: str
    category: str | None
    metadata: Mapping[str, Any]
    timestamp: datetime
    expires: datetime | None = None
    access_count: int = 0
    last_access: datetime | None = None
    namespace: str = DEFAULT_NAMESPACE
    origin: str = ORIGINS[0]
    trust: float = 1.0
    modalities: tuple[str, ...] = ("text",)
    attachments: tuple[Attachment, ...] = ()
    tier: str = "hot"
    derivation: Derivation | None = None

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON values; moments in ISO 8601."""
        return _json_values(asdict(self))


@dataclass(frozen=True)
class VectorMatch:
    """What the meaning of a memory contributed.

    Attributes:
        cosine: cosine of query and memory (its best window), -1 to 1.
        rank: place among all memories by cosine, from 1; None below the depth of the search.
        window: number of the window that matched best; a short text has the window 0 only.
    """

    cosine: float
    rank: int | None
    window: int


@dataclass(frozen=True)
class TextMatch:
    """What the words of a memory contributed.

    Attributes:
        bm25: the BM25 score, 0 or more; comparable within one recall only.
        rank: place among all memories by BM25, from 1.
        words: words of the query that the memory holds in some form (of its first 100,000 characters).
    """

    bm25: float
    rank: int
    words: tuple[str, ...]


@dataclass(frozen=True)
class SpaceMatch:
    """What one space says of a memory and a part of the query.

    Attributes:
        part: of the query: `text`, `image`, `audio`, or the name of a caller's space.
        space: where both were compared.
        cosine: of part and memory, -1 to 1; comparable within its space only.
        share: how far it stands out among any rows of the space, 0 to 1.
        rank: place among all memories by cosine, from 1; None below the depth of the search.
    """

    part: str
    space: str
    cosine: float
    share: float
    rank: int | None


@dataclass(frozen=True)
class Explanation:
    """Where the score of a hit comes from.

    Attributes:
        vector: what the text of the memory says, by meaning.
        text: what its words say.
        parts: what the score is the sum of, by name; ``meaning`` over all parts of the query and all spaces.
        spaces: what other spaces and other parts of the query than its text said.
    """

    vector: VectorMatch | None
    text: TextMatch | None
    parts: Mapping[str, float]
    spaces: tuple[SpaceMatch, ...] = ()


@dataclass(frozen=True)
class Hit:
    """One memory that was recalled.

    Attributes:
        id: its id.
        text: its text.
        score: 0 to 1 or near it; orders the hits of one recall: the sum of ``explain.parts``. With weights v
            and t of meaning and words, ``(v * max(cosine, 0) + t * bm25 / best bm25) / (v + t)`` with the
            fusion ``"score"``; with ``"rank"`` each leg gives ``weight * (1 + k) / (rank + k)`` instead.
            For a measure that means the same in every recall use ``explain.vector.cosine``.
        record: the whole memory.
        explain: the parts of the score.
    """

    id: int
    text: str
    score: float
    record: Record
    explain: Explanation

    def to_dict(self) -> dict[str, Any]:
        """The hit as JSON values."""
        return _json_values(asdict(self))


@dataclass(frozen=True)
class Episode:
    """Memories that were told together: each within an hour of the one before, or all sharing a field.

    Attributes:
        hits: those that answer best, best first; their scores are those of `MemoryStore.recall`.
        ids: all its memories that were looked through, in the order they were remembered: those that
            search found, and what was told around its best.
        began: when the first of them was told, in UTC.
        ended: when the last was.
        score: orders the episodes of one recall: the sum of ``parts``; any number.
        parts: the score of its best memory, the best meaning in it, its rare words and its links; less the
            more it says in all.
        value: what its memories share, where they were put together by a field; None where time did it.
    """

    hits: tuple[Hit, ...]
    ids: tuple[int, ...]
    began: datetime
    ended: datetime
    score: float
    parts: Mapping[str, float]
    value: Any = None

    def to_dict(self) -> dict[str, Any]:
        """The episode as JSON values."""
        return _json_values({**asdict(self), "hits": [hit.to_dict() for hit in self.hits]})


@dataclass(frozen=True)
class StoreStats:
    """Size and state of a store.

    Attributes:
        path: folder of the store.
        records: memories that can be recalled.
        vectors: their vectors; a long text has several.
        pending: memories that wait in the catalogue for a segment.
        segments: segment files.
        forgotten: memories that were forgotten and whose bytes `compact` has not removed yet.
        indexed: memories in the text index; the others are searched in memory.
        dimension: of the vectors; None while the store is empty.
        encoder: fingerprint of the encoder that makes them.
        bytes: total size on disk, by part: ``catalogue``, ``segments``, ``index``, ``blobs``.
        categories: memories per category.
        namespaces: memories per namespace.
        modalities: memories that hold a text, an image, a sound.
        spaces: vectors per space; that of texts is ``text``.
    """

    path: str
    records: int
    vectors: int
    pending: int
    segments: int
    forgotten: int
    indexed: int
    dimension: int | None
    encoder: str | None
    bytes: Mapping[str, int]
    categories: Mapping[str, int]
    namespaces: Mapping[str, int]
    modalities: Mapping[str, int]
    spaces: Mapping[str, int]

    def to_dict(self) -> dict[str, Any]:
        """The figures as JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class VerifyReport:
    """What `verify` found.

    Attributes:
        records: memories that were read and checked.
        segments: segment files that were read and checked.
        problems: one sentence each; empty when the store is sound.
    """

    records: int
    segments: int
    problems: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


@dataclass(frozen=True)
class Settlement:
    """What moved between segments and cold files.

    Attributes:
        frozen: memories that lie in cold files now.
        thawed: memories that lie in segments again.
        waiting: memories that are to be warm, and wait for the encoder that alone makes their vectors again;
            until then they are found by their codes.
    """

    frozen: int
    thawed: int
    waiting: int = 0


@dataclass(frozen=True)
class CompactionReport:
    """What `compact` did.

    Attributes:
        removed: memories whose bytes were removed.
        rewritten: segments that were rewritten or merged.
        bytes_before: size of the store on disk before.
        bytes_after: size after.
    """

    removed: int
    rewritten: int
    bytes_before: int
    bytes_after: int


def _json_values(values: dict[str, Any]) -> dict[str, Any]:
    converted: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, datetime):
            converted[key] = value.isoformat()
        else:
            converted[key] = _json_values(value) if key in ("record", "explain") else value
    return converted
