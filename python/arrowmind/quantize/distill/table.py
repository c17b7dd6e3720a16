"""Tables of embeddings in training: rows are rounded as they are looked up.

What the codes of the blocks cannot say of a word, its row can: a part of each block's error belongs to the
token whatever stands around it. The types and bytes of a table stay what they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from arrowmind.quantize.distill.latent import LatentMatrix, snapped

if TYPE_CHECKING:
    import numpy.typing as npt

    from arrowmind.weights.formats import GridCodes

__all__ = ["LatentTable"]


class LatentTable(LatentMatrix):
    """One table on a grid, in training; it stands in for its own tensor where that is indexed by rows.

    Example::

        table = LatentTable(codes, values)
        table[ids]  # float32 [*ids.shape, k], differentiable
        table[:20]  # positions
    """

    def __init__(self, codes: GridCodes, table: npt.NDArray[Any]) -> None:
        """Starts from codes, and what float32 [rows, k] they stand for."""
        super().__init__(codes, table)

    def __getitem__(self, ids: Any) -> Any:
        """What the codes of some rows stand for."""
        scales, zeros = self._scales(), self._zeros()
        rows = snapped(self.values[ids], scales[ids], zeros[ids], self._levels)
        return rows.flatten(-2)[..., : self._k]

    def weight(self) -> Any:
        """Itself: of a large table few rows are looked up in a step, and only these are rounded."""
        return self
