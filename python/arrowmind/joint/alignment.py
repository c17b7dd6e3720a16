"""Maps between all kinds of content, fitted on rows that hold several."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from arrowmind.joint.ridge import fit_map

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import numpy.typing as npt

    from arrowmind.joint.pairs import Rows
    from arrowmind.joint.ridge import LinearMap

    FloatArray = npt.NDArray[np.float32]

__all__ = ["Alignment"]


@dataclass(frozen=True)
class Alignment:
    """What is known of how kinds of content go together.

    Attributes:
        dimensions: of the vectors of each kind.
        maps: by source and target kind.
    """

    dimensions: Mapping[str, int]
    maps: Mapping[tuple[str, str], LinearMap] = field(default_factory=dict)

    @classmethod
    def fit(cls, rows: Rows) -> Alignment:
        """Closed-form maps between all kinds that occur together; the same rows give the same maps.

        Args:
            rows: with at least `LEAST_PAIRS` of two kinds for a map between them.
        """
        kinds, maps = sorted(rows.dimensions), {}
        for source in kinds:
            for target in kinds:
                fitted = fit_map(*rows.both(source, target)) if source != target else None
                if fitted is not None and fitted.reliability > 0:
                    maps[source, target] = fitted
        return cls(rows.dimensions, maps)

    def reliability(self, source: str, target: str) -> float:
        """How far a mapped vector is to be believed, 0 (there is no map) to 1."""
        found = self.maps.get((source, target))
        return found.reliability if found else float(source == target)

    def map(self, vectors: FloatArray, source: str, target: str) -> FloatArray | None:
        """Vectors [n, d1] of one kind as [n, d2] of length 1 to compare with another; None without a map."""
        found = self.maps.get((source, target))
        return found(vectors) if found else None
