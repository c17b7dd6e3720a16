"""What is asked of a store, as vectors: each part of a query in every space that it can be compared in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind.errors import InvalidArgumentError
from arrowmind.memory.encoder import check_vectors
from arrowmind.memory.intake.media import check_media
from arrowmind.memory.storage.spaces import AUDIO, IMAGE, TEXT

if TYPE_CHECKING:
    from collections.abc import Callable

    from arrowmind.joint import Alignment
    from arrowmind.memory.encoder import Encoders, FloatArray
    from arrowmind.memory.storage.snapshot import Snapshot

    Parts = dict[str, dict[str, FloatArray]]
    Believed = dict[tuple[str, str], float]

__all__ = ["Asked", "Asker"]


@dataclass(frozen=True)
class Asked:
    """A query, as a caller gives it.

    Attributes:
        text: any text, or nothing.
        image: bytes or path of an image.
        audio: bytes or path of a sound.
        embedding: a vector of the text, or vectors by the names of their spaces, that are there already.
    """

    text: str = ""
    image: Any = None
    audio: Any = None
    embedding: Any = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is asked."""
        return not self.text.strip() and all(x is None for x in (self.image, self.audio, self.embedding))


class Asker:
    """Makes vectors of queries."""

    def __init__(self, encoders: Encoders, store: str) -> None:
        """Sets it up.

        Args:
            encoders: those there are.
            store: its name, for messages.
        """
        self._encoders = encoders
        self._store = store

    def parts(
        self, asked: Asked, snapshot: Snapshot, *, by_meaning: bool, alignment: Alignment
    ) -> tuple[Parts, Believed]:
        """Vectors of length 1 by part of the query (`text`, `image`, `audio`, or a caller's space) and space.

        Args:
            asked: the query.
            snapshot: tells which spaces there are.
            by_meaning: whether a text is to be embedded at all.
            alignment: places a part also in spaces that no encoder places it in.

        Returns:
            The vectors, and how far those are to be believed that are mapped.

        Raises:
            InvalidArgumentError: a part cannot be used, or no encoder knows its kind.
        """
        found: Parts = {}
        for name, vector in _given(asked.embedding).items():
            found.setdefault(name, {})[name] = vector
        if asked.text.strip() and by_meaning:
            self._ask_text(asked.text, snapshot, found.setdefault(TEXT, {}))
        self._ask_media(asked.image, IMAGE, found)
        self._ask_media(asked.audio, AUDIO, found)
        # A part that no memory can be compared with says nothing.
        parts = {part: usable for part, spaces in found.items() if (usable := _usable(spaces, snapshot))}
        return parts, _map(parts, snapshot, alignment)

    def _ask_text(self, text: str, snapshot: Snapshot, vectors: dict[str, FloatArray]) -> None:
        encoders = self._encoders
        if TEXT not in vectors and encoders.text is not None:
            vectors[TEXT] = encoders.text.encode([text])
        # The same encoder places texts among images.
        if encoders.image is not None and snapshot.space(IMAGE) is not None:
            vectors[IMAGE] = encoders.image.encode([text])

    def _ask_media(self, value: Any, kind: str, found: Parts) -> None:
        media = check_media(value, kind, kind)
        if media is None:
            return
        image, audio = self._encoders.image, self._encoders.audio
        encode: Callable[[list[bytes]], FloatArray] | None = None
        if kind == IMAGE and image is not None:
            encode = image.encode_image
        if kind == AUDIO and audio is not None:
            encode = audio.encode_audio
        if encode is None:
            raise InvalidArgumentError(
                f"{self._store}: was opened without an encoder of {kind}; open it with {kind}_engine="
            )
        found.setdefault(kind, {})[kind] = encode([media.data])


def _map(parts: Parts, snapshot: Snapshot, alignment: Alignment) -> Believed:
    """Adds vectors in spaces that a part is mapped to from its own; tells how far they are to be believed."""
    believed = {}
    for part, vectors in parts.items():
        own = vectors.get(part)
        if own is None:
            continue
        for space in snapshot.spaces:
            name = space.row.name
            mapped = None if name in vectors else alignment.map(own[None], part, name)
            if mapped is not None and mapped.any():
                vectors[name] = mapped[0]
                believed[part, name] = alignment.reliability(part, name)
    return believed


def _given(embedding: Any) -> dict[str, FloatArray]:
    if embedding is None:
        return {}
    named = embedding if isinstance(embedding, Mapping) else {TEXT: embedding}
    return {str(name): np.asarray(vector) for name, vector in named.items()}


def _usable(vectors: Mapping[str, Any], snapshot: Snapshot) -> dict[str, FloatArray]:
    """Vectors of length 1 for the spaces that there are; one of zeros resembles nothing."""
    found = {}
    for name, values in vectors.items():
        space = snapshot.space(name)
        if space is None or not space.row.dimension:
            continue
        vector = check_vectors(np.atleast_2d(values), f"the vector of the query for {name}")
        if vector.shape != (1, space.row.dimension):
            raise InvalidArgumentError(
                f"the vector of the query has shape {vector.shape}, the store needs "
                f"[1, {space.row.dimension}]"
            )
        # In float64: the square of a float32 may overflow.
        wide = vector[0].astype(np.float64)
        length = float(np.linalg.norm(wide))
        if length > 0:
            found[name] = (wide / length).astype(np.float32)
    return found
