"""The second moments of a matrix's inputs, damped until they can be factored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from arrowmind.errors import QuantizationError
from arrowmind.observe import get_logger

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["damped", "feedback_factor"]

_log = get_logger("arrowmind.quantize")
_ESCALATION = 10.0
_LARGEST_DAMPING = 10.0


def feedback_factor(
    hessian: npt.NDArray[np.float64], damping: float, name: str = ""
) -> npt.NDArray[np.float32]:
    """The upper triangular U with (hessian + damping)^-1 = U^T U.

    Args:
        hessian: [k, k] sums of products of inputs, symmetric, not negative.
        damping: added to the diagonal, as a part of its mean; ten times as much after each failure, which is
            logged.
        name: of the matrix, for the log.

    Returns:
        float32 [k, k].

    Raises:
        QuantizationError: the moments hold NaN or infinity, or cannot be factored with any damping.
    """
    diagonal = np.diagonal(hessian)
    mean = float(diagonal.mean())
    if not np.isfinite(mean) or not np.isfinite(hessian).all():
        raise QuantizationError(
            f"{name}: the moments of its inputs are not finite; check calibration and weights"
        )
    if mean <= 0:
        return np.eye(len(hessian), dtype=np.float32)
    tried = damping
    while tried <= _LARGEST_DAMPING:
        try:
            return _factor(damped(hessian, tried))
        except np.linalg.LinAlgError:
            raised = max(tried * _ESCALATION, 1e-6)
            _log.warning("moments could not be factored; damping raised", tensor=name, damping=raised)
            tried = raised
    raise QuantizationError(
        f"{name}: the moments of its inputs cannot be factored; use other calibration texts"
    )


def damped(hessian: npt.NDArray[np.float64], damping: float) -> npt.NDArray[np.float64]:
    """A copy with ``damping`` times the mean of the diagonal added to the diagonal."""
    result: npt.NDArray[np.float64] = hessian.copy()
    result[np.diag_indices_from(result)] += damping * float(np.diagonal(hessian).mean())
    return result


def _factor(hessian: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    # Backwards, the lower factor of H is an upper factor R with H = R R^T; then U = R^-1.
    upper = np.linalg.cholesky(hessian[::-1, ::-1])[::-1, ::-1]
    inverse = np.triu(np.linalg.inv(upper))
    if not np.isfinite(inverse).all():
        raise np.linalg.LinAlgError
    return inverse.astype(np.float32)
