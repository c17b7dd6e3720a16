"""Any mix of text, image and sound as one vector.

The 768 values are two halves. The first holds what a vector says about texts, by the maps of an alignment;
the second what only others of its kind can be compared with, by a fixed projection. How much of a kind goes
to the first half is how far its map is to be believed: without pairs nothing does, and kinds do not meet by
chance. The kinds that are present are weighed by attention; those that are not are left out of it, and never
stand there as zeros.
"""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from arrowmind.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from arrowmind.joint.alignment import Alignment
    from arrowmind.joint.pairs import Rows

    FloatArray = npt.NDArray[np.float32]

__all__ = ["JOINT_DIMENSION", "Fusion", "JointEmbedding"]

JOINT_DIMENSION = 768
_HALF = JOINT_DIMENSION // 2
_SEED = 0x4A4F494E
"""Of the projections; part of what a joint vector means."""


@dataclass(frozen=True)
class Fusion:
    """Trained weights: a projection of each kind, attention over those present, then a residual perceptron.

    Attributes:
        projections: float32 [768, 768] of each kind, added to what it contributes by itself.
        query: float32 [768], compared with each kind's vector.
        bias: of each kind.
        first: float32 [768, hidden].
        second: float32 [hidden, 768].
    """

    projections: Mapping[str, FloatArray]
    query: FloatArray
    bias: Mapping[str, float]
    first: FloatArray
    second: FloatArray


class JointEmbedding:
    """Embeds rows of several kinds into one space.

    Example::

        joint = JointEmbedding(Alignment.fit(rows))
        vectors = joint.embed(rows)  # float32 [n, 768] of length 1
    """

    def __init__(self, alignment: Alignment, fusion: Fusion | None = None, anchor: str = "text") -> None:
        """Sets it up.

        Args:
            alignment: maps between the kinds.
            fusion: trained weights; without, the kinds present weigh the same.
            anchor: the kind whose space the first half is of.
        """
        self.alignment, self.fusion, self.anchor = alignment, fusion, anchor

    @cached_property
    def fingerprint(self) -> str:
        """Tells embeddings apart whose vectors must not be mixed."""
        digest = hashlib.sha256(f"joint1 {self.anchor} {sorted(self.alignment.dimensions.items())}".encode())
        for pair, fitted in sorted(self.alignment.maps.items()):
            digest.update(f"{pair} {fitted.reliability!r}".encode())
            digest.update(fitted.source_mean.tobytes() + fitted.matrix.tobytes())
        if self.fusion is not None:
            digest.update(repr(sorted(self.fusion.bias.items())).encode())
            projections = (self.fusion.projections[kind] for kind in sorted(self.fusion.projections))
            for values in (*projections, self.fusion.query, self.fusion.first, self.fusion.second):
                digest.update(values.tobytes())
        return f"joint-{digest.hexdigest()[:32]}"

    def embed(self, rows: Rows) -> FloatArray:
        """Vectors float32 [n, 768] of length 1; of zeros for a row that holds nothing.

        Raises:
            InvalidArgumentError: a kind is unknown, or has another dimension.
        """
        tokens = {kind: self.token(kind, values) for kind, values in rows.vectors.items()}
        return _normalised(fuse(tokens, rows.present, self.fusion, len(rows)))

    def token(self, kind: str, vectors: FloatArray) -> FloatArray:
        """What a kind contributes: float32 [n, 768] of length 1.

        Args:
            kind: of the vectors.
            vectors: float32 [n, dimension of the kind], of length 1.
        """
        expected = self.alignment.dimensions.get(kind)
        if vectors.shape[1] != expected:
            raise InvalidArgumentError(
                f"vectors of kind {kind!r} have {vectors.shape[1]} values, {expected} expected; use the "
                "encoders that the alignment was fitted for"
            )
        believed = self.alignment.reliability(kind, self.anchor)
        own = _normalised(vectors @ self._private(kind))
        token = np.concatenate([np.zeros((len(vectors), _HALF), np.float32), own], axis=1)
        if believed > 0:
            shared = vectors if kind == self.anchor else self.alignment.map(vectors, kind, self.anchor)
            token[:, :_HALF] = believed * _normalised(self._to_half(shared))
            token[:, _HALF:] *= np.sqrt(1 - believed**2)
        return token

    def _to_half(self, vectors: FloatArray | None) -> FloatArray:
        """Vectors of the anchor's space with 384 values: with zeros behind, or projected down."""
        if vectors is None:
            return np.zeros((1, _HALF), np.float32)
        if vectors.shape[1] > _HALF:
            return vectors @ self._private(self.anchor)
        return np.pad(vectors, ((0, 0), (0, _HALF - vectors.shape[1])))

    def _private(self, kind: str) -> FloatArray:
        """A projection [dimension, 384] with orthonormal rows or columns, fixed by the name of the kind."""
        dimension = self.alignment.dimensions[kind]
        chance = np.random.default_rng([_SEED, zlib.crc32(kind.encode()), dimension])
        wide = chance.standard_normal((max(dimension, _HALF), min(dimension, _HALF)))
        basis = np.linalg.qr(wide)[0].astype(np.float32)
        return basis if dimension >= _HALF else basis.T


def fuse(
    tokens: Mapping[str, FloatArray],
    present: Mapping[str, npt.NDArray[np.bool_]],
    fusion: Fusion | None,
    count: int,
) -> FloatArray:
    """The kinds present of each row as one vector, float32 [count, 768]."""
    total, weights = np.zeros((count, JOINT_DIMENSION), np.float32), np.zeros((count, 1), np.float32)
    for kind, token in tokens.items():
        weight = present[kind].astype(np.float32)[:, None]
        if fusion is not None:
            projection = fusion.projections.get(kind)
            token = token if projection is None else _normalised(token + token @ projection)
            weight = (
                weight * np.exp(np.clip(token @ fusion.query + fusion.bias.get(kind, 0.0), -20, 20))[:, None]
            )
        total += weight * token
        weights += weight
    pooled = np.divide(total, weights, out=np.zeros_like(total), where=weights > 0)
    if fusion is None:
        return pooled
    hidden = np.maximum(pooled @ fusion.first, 0.0)
    mixed: FloatArray = (pooled + hidden @ fusion.second).astype(np.float32)
    return mixed


def _normalised(vectors: FloatArray) -> FloatArray:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    result: FloatArray = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 1e-12)
    return result.astype(np.float32)
