"""Memories and hits as JSON: what a client needs to quote them, and to judge whether to believe them."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from arrowmind.memory import Episode, Hit, Record
    from arrowmind.memory.storage.links import Link

__all__ = [
    "attachment_uri",
    "episode_view",
    "explained",
    "hit_view",
    "link_view",
    "memory_uri",
    "record_view",
]


def memory_uri(id_: int) -> str:
    """The address of a memory."""
    return f"memory://{id_}"


def attachment_uri(id_: int, number: int) -> str:
    """The address of an image or a sound of a memory."""
    return f"{memory_uri(id_)}/attachments/{number}"


def record_view(record: Record) -> dict[str, Any]:
    """A memory; what it does not have is left out."""
    view: dict[str, Any] = {
        "id": record.id,
        "uri": memory_uri(record.id),
        "text": record.text,
        "time": record.timestamp.isoformat(),
        "origin": record.origin,
        "trust": record.trust,
        "namespace": record.namespace,
        "category": record.category,
        "metadata": dict(record.metadata) or None,
        "expires": record.expires.isoformat() if record.expires else None,
        "modalities": list(record.modalities),
        "attachments": [
            {
                "uri": attachment_uri(record.id, number),
                "kind": one.kind,
                "media_type": one.media_type,
                "bytes": one.size,
                "sha256": one.sha256,
            }
            for number, one in enumerate(record.attachments)
        ]
        or None,
        "tier": record.tier if record.tier != "hot" else None,
        **_derivation(record),
    }
    return {name: value for name, value in view.items() if value is not None}


def _derivation(record: Record) -> dict[str, Any]:
    """What a memory was derived from, and what has contradicted it since."""
    found = record.derivation
    if found is None:
        return {}
    return {
        "derived_from": [asdict(quote) for quote in found.quotes],
        "made_by": found.made_by or None,
        "replaced_by": list(found.replaced_by) or None,
    }


def hit_view(hit: Hit) -> dict[str, Any]:
    """A memory that was recalled, with its score."""
    return {**record_view(hit.record), "score": round(hit.score, 6)}


def link_view(link: Link) -> dict[str, Any]:
    """What a memory is linked with."""
    return {"id": link.id, "uri": memory_uri(link.id), "kind": link.kind, "weight": round(link.weight, 4)}


def explained(hit: Hit) -> dict[str, Any]:
    """The same with the parts of its score."""
    return {**hit_view(hit), "explanation": asdict(hit.explain)}


def episode_view(episode: Episode, *, explain: bool) -> dict[str, Any]:
    """An episode with its best memories, and the parts of scores if wished."""
    view = {
        "value": episode.value,
        "began": episode.began.isoformat(),
        "ended": episode.ended.isoformat(),
        "score": round(episode.score, 6),
        "ids": list(episode.ids),
        "memories": [(explained if explain else hit_view)(hit) for hit in episode.hits],
        "explanation": dict(episode.parts) if explain else None,
    }
    return {name: value for name, value in view.items() if value is not None}
