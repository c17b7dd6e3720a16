"""Rows of vectors of several kinds, not all of which every row has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from arrowmind.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float32]
    Mask = npt.NDArray[np.bool_]

__all__ = ["Rows"]


@dataclass(frozen=True)
class Rows:
    """Vectors of length 1 by kind.

    Attributes:
        vectors: float32 [n, dimension of the kind]; rows without the kind hold anything finite.
        present: bool [n] by kind.
    """

    vectors: Mapping[str, FloatArray]
    present: Mapping[str, Mask]

    def __post_init__(self) -> None:
        counts = {len(values) for values in (*self.vectors.values(), *self.present.values())}
        if self.vectors.keys() != self.present.keys() or len(counts) > 1:
            raise InvalidArgumentError(
                f"rows of kinds {sorted(self.vectors)} and masks of {sorted(self.present)} with lengths "
                f"{sorted(counts)}: give each kind a mask, and all the same number of rows"
            )
        for kind, values in self.vectors.items():
            if values.ndim != 2 or not np.isfinite(values).all():
                raise InvalidArgumentError(f"vectors of {kind!r}: give finite numbers [n, dimension]")

    def __len__(self) -> int:
        return len(next(iter(self.present.values()), ()))

    @property
    def dimensions(self) -> dict[str, int]:
        """Of the vectors of each kind."""
        return {kind: values.shape[1] for kind, values in self.vectors.items()}

    def both(self, one: str, other: str) -> tuple[FloatArray, FloatArray]:
        """The vectors of rows that have two kinds, [m, d1] and [m, d2]."""
        mask = self.present[one] & self.present[other]
        return self.vectors[one][mask], self.vectors[other][mask]

    def chosen(self, mask: Mask) -> Rows:
        """Some of the rows."""
        return Rows(
            {kind: values[mask] for kind, values in self.vectors.items()},
            {kind: values[mask] for kind, values in self.present.items()},
        )

    @classmethod
    def of(cls, rows: Mapping[str, list[FloatArray | None]], dimensions: Mapping[str, int]) -> Rows:
        """Rows from lists with None for what a row has not.

        Args:
            rows: one vector float32 [dimension], or None, of each row, by kind.
            dimensions: of all kinds.
        """
        vectors, present = {}, {}
        for kind, dimension in dimensions.items():
            values = rows.get(kind, [])
            present[kind] = np.array([value is not None for value in values], dtype=np.bool_)
            none = np.zeros(dimension, np.float32)
            filled = [none if value is None else value for value in values]
            vectors[kind] = np.array(filled, dtype=np.float32).reshape(len(values), dimension)
        return cls(vectors, present)
