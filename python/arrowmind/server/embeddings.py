"""Texts to vectors."""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse

from arrowmind.errors import InvalidArgumentError
from arrowmind.server.queries import model_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray
    from starlette.responses import Response

    from arrowmind.config import ServerSettings
    from arrowmind.engine import ArrowEngine
    from arrowmind.server.shelf import ModelShelf

__all__ = ["Embedder"]

_KNOWN = {"model", "input", "encoding_format", "dimensions", "user"}


class Embedder:
    """Answers requests to /v1/embeddings, one after the other: each uses all threads."""

    def __init__(self, shelf: ModelShelf, settings: ServerSettings) -> None:
        self._shelf, self._settings = shelf, settings
        self._turn = asyncio.Lock()

    async def answer(self, body: Mapping[str, Any]) -> Response:
        """The vectors of the texts of a request.

        Raises:
            InvalidArgumentError: A field is unknown or cannot be used.
        """
        name = model_of(body)
        engine = self._shelf.encoder(name)
        texts, as_base64 = self._texts(body, engine)
        async with self._turn:
            vectors, tokens = await asyncio.to_thread(_embed, engine, texts)
        data = [
            {"object": "embedding", "index": index, "embedding": _shown(vector, as_base64=as_base64)}
            for index, vector in enumerate(vectors)
        ]
        counts = {"prompt_tokens": tokens, "total_tokens": tokens}
        return JSONResponse({"object": "list", "data": data, "model": name, "usage": counts})

    def _texts(self, body: Mapping[str, Any], engine: ArrowEngine) -> tuple[list[str], bool]:
        given = {key: value for key, value in body.items() if value is not None}
        unknown = sorted(given.keys() - _KNOWN)
        if unknown:
            raise InvalidArgumentError(f"unknown field {unknown[0]!r:.60}; leave it out")
        texts = given.get("input")
        texts = [texts] if isinstance(texts, str) else texts
        most = self._settings.max_texts
        if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
            raise InvalidArgumentError(f"input is {given.get('input')!r:.60}; give a text or a list of texts")
        if len(texts) > most:
            raise InvalidArgumentError(f"input has {len(texts)} texts; give up to {most} at once")
        if given.get("dimensions", engine.dimension) != engine.dimension:
            raise InvalidArgumentError(
                f"dimensions is {given['dimensions']!r:.40}; this model gives {engine.dimension}"
            )
        form = given.get("encoding_format", "float")
        if form not in ("float", "base64"):
            raise InvalidArgumentError(f"encoding_format is {form!r:.40}; use float or base64")
        return texts, form == "base64"


def _embed(engine: ArrowEngine, texts: list[str]) -> tuple[NDArray[np.float32], int]:
    return engine.encode(texts), sum(engine.count_tokens(texts))


def _shown(vector: NDArray[np.float32], *, as_base64: bool) -> list[float] | str:
    if as_base64:
        return base64.b64encode(vector.astype("<f4").tobytes()).decode("ascii")
    values: list[float] = vector.tolist()
    return values
