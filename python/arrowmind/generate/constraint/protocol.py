"""What a constraint on tokens is, whoever made it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["TokenConstraint"]


class TokenConstraint(Protocol):
    """Which tokens may follow in one sequence. It moves with the tokens that were taken, never back."""

    def mask(self) -> npt.NDArray[np.bool_]:
        """What may come next, bool [vocabulary]; end-of-sequence tokens where the text may end."""

    def advance(self, token: int) -> None:
        """Takes `token`, which the mask allowed."""

    @property
    def is_done(self) -> bool:
        """Whether the text is complete and nothing may follow."""
