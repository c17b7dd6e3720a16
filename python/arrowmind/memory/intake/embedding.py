"""Vectors of memories in all spaces: made by the encoders, or given by the caller."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind.errors import InvalidArgumentError
from arrowmind.memory.encoder import check_vectors, embed_texts
from arrowmind.memory.storage.spaces import AUDIO, IMAGE, TEXT
from arrowmind.observe import record_fallback

if TYPE_CHECKING:
    from collections.abc import Callable

    from arrowmind.memory.encoder import Encoders, FloatArray
    from arrowmind.memory.intake.drafts import Draft

    Vectors = dict[str, list[FloatArray | None]]

__all__ = ["Embedder", "check_embeddings"]


def check_embeddings(embeddings: Any, count: int) -> Vectors:
    """Vectors that a caller gives, by name of their space; one of each memory, or None.

    Args:
        embeddings: None, float32 [count, dimension] of the texts, or such arrays by the names of their
            spaces; a sequence may hold None where a memory has no vector there.
        count: memories.

    Raises:
        InvalidArgumentError: they cannot be used.
    """
    if embeddings is None:
        return {}
    named = embeddings if isinstance(embeddings, Mapping) else {TEXT: embeddings}
    return {str(name): _check_space(values, count, f"embeddings of {name}") for name, values in named.items()}


def _check_space(values: Any, count: int, name: str) -> list[FloatArray | None]:
    if isinstance(values, Sequence) and any(value is None for value in values):
        present = [place for place, value in enumerate(values) if value is not None]
        found: list[FloatArray | None] = [None] * len(values)
        if present:
            vectors = check_vectors([values[place] for place in present], name)
            for place, vector in zip(present, vectors, strict=True):
                found[place] = vector[None]
    else:
        found = list(check_vectors(values, name)[:, None]) if count else []
    if len(found) != count:
        raise InvalidArgumentError(f"{name}: has {len(found)} rows for {count} texts; give one each")
    return found


class Embedder:
    """Makes the vectors that are not given."""

    def __init__(self, encoders: Encoders, store: str) -> None:
        """Sets it up.

        Args:
            encoders: those there are.
            store: its name, for messages.
        """
        self._encoders = encoders
        self._store = store

    def embed(self, drafts: Sequence[Draft], given: Vectors) -> Vectors:
        """Vectors of memories by space; in that of texts a memory without one has None."""
        vectors = dict(given)
        if TEXT not in vectors:
            vectors[TEXT] = self._texts(drafts)
        image, audio = self._encoders.image, self._encoders.audio
        for space, encode in (
            (IMAGE, image.encode_image if image else None),
            (AUDIO, audio.encode_audio if audio else None),
        ):
            if space not in vectors and (found := self._media(drafts, space, encode)) is not None:
                vectors[space] = found
        return {name: parts for name, parts in vectors.items() if name == TEXT or _any(parts)}

    def _texts(self, drafts: Sequence[Draft]) -> list[FloatArray | None]:
        places = [place for place, draft in enumerate(drafts) if draft.text]
        found: list[FloatArray | None] = [None] * len(drafts)
        if not places:
            return found
        if self._encoders.text is None:
            raise InvalidArgumentError(
                f"{self._store}: was opened without an engine; open it with one or give embeddings"
            )
        vectors = embed_texts(self._encoders.text, [drafts[place].text for place in places])
        for place, vector in zip(places, vectors, strict=True):
            found[place] = vector
        return found

    def _media(
        self, drafts: Sequence[Draft], kind: str, encode: Callable[[list[bytes]], FloatArray] | None
    ) -> list[FloatArray | None] | None:
        data = {i: item.data for i, draft in enumerate(drafts) for item in draft.media if item.kind == kind}
        if not data:
            return None
        if encode is None:
            record_fallback("remember", f"no encoder of {kind}, kept without a vector", store=self._store)
            return None
        vectors = check_vectors(encode(list(data.values())), f"the result of the encoder of {kind}")
        if len(vectors) != len(data):
            raise InvalidArgumentError(f"the encoder of {kind} gave {len(vectors)} vectors for {len(data)}")
        found: list[FloatArray | None] = [None] * len(drafts)
        for place, vector in zip(data, vectors, strict=True):
            found[place] = vector[None]
        return found


def _any(parts: Sequence[FloatArray | None]) -> bool:
    return any(part is not None for part in parts)


def fill(parts: Sequence[FloatArray | None], dimension: int) -> list[FloatArray]:
    """The same with a vector of zeros, which resembles nothing, where there is none."""
    none = np.zeros((1, dimension), np.float32)
    return [none if part is None else part for part in parts]
