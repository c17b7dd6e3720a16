"""A block: consecutive tokens of a text and what is kept of them."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["GRADES", "Block", "Grade"]

Grade = Literal["exact", "quantised", "reduced"]
GRADES: tuple[Grade, ...] = ("exact", "quantised", "reduced")
"""By the number that stands for each in a file."""


@dataclasses.dataclass(frozen=True)
class Block:
    """A block as it is stored.

    Attributes:
        position: Place of its first token in the text, and in the positions that its keys are turned by.
        tokens: int32 [block_tokens].
        grade: `exact`: keys and values as the cache had them; `quantised`: in codes; `reduced`: none, they
            are computed from the tokens again.
        terms: uint32 [term_columns], ascending; 0 stands for none.
        summary: float32 [dimension]: what its keys have in common.
        payload: Keys and values; empty when reduced.
    """

    position: int
    tokens: NDArray[np.int32]
    grade: Grade
    terms: NDArray[np.uint32]
    summary: NDArray[np.float32]
    payload: NDArray[np.uint8]
