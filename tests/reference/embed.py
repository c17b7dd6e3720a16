"""What csrc/kernels/embed/embed.h promises, to the last bit: float32 operations in its order."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Table(NamedTuple):
    """One table as the kernel takes it; `scale` and `zero` [rows] for int8."""

    data: np.ndarray
    scale: np.ndarray | None = None
    zero: np.ndarray | None = None

    def rows(self, ids: np.ndarray) -> np.ndarray:
        """Rows `ids` as float32."""
        values = self.data[ids].astype(np.float32)
        if self.zero is not None:
            values = values - self.zero[ids, None]
        return values if self.scale is None else values * self.scale[ids, None]
