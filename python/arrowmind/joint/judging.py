"""How well a joint embedding brings together what belongs together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from arrowmind.joint.pairs import Rows

if TYPE_CHECKING:
    from arrowmind.joint.embedding import JointEmbedding

__all__ = ["found_across"]

_BEST = 10


def found_across(joint: JointEmbedding, rows: Rows) -> float:
    """Share of (row, kind, other kind) where the one, by itself, finds the other among the ten best.

    Args:
        joint: the embedding.
        rows: that it has not been fitted on.
    """
    found, asked = 0, 0
    kinds = sorted(rows.vectors)
    for one in kinds:
        for other in kinds:
            mask = rows.present[one] & rows.present[other]
            if one == other or not mask.any():
                continue
            queries, answers = _alone(joint, rows, one, mask), _alone(joint, rows, other, mask)
            likeness = queries @ answers.T
            own = np.diagonal(likeness)
            found += int(((likeness > own[:, None]).sum(axis=1) < _BEST).sum())
            asked += len(own)
    return found / asked if asked else 0.0


def _alone(joint: JointEmbedding, rows: Rows, kind: str, mask: np.ndarray) -> np.ndarray:
    """Joint vectors of one kind by itself."""
    vectors = rows.vectors[kind][mask]
    return joint.embed(Rows({kind: vectors}, {kind: np.ones(len(vectors), dtype=np.bool_)}))
