"""What is done about a result below its threshold: tensors that cost the embeddings most get wider types.

What a tensor costs is measured in the quantised model: it alone is put back to what it was, and texts are
embedded. The worst go first, in rounds that grow, and each round ends with the check itself. Codes of fewer
than 8 bits become int8, int8 becomes floating point.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from arrowmind.observe import get_logger
from arrowmind.quantize.methods.ptq import round_alone
from arrowmind.quantize.scheme import Quantized
from arrowmind.quantize.storing import table_type, table_values
from arrowmind.weights.formats import Grid

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from arrowmind.quantize.embedders import Calibrator
    from arrowmind.quantize.methods.base import Job, Outcome
    from arrowmind.quantize.overlay import HasValues
    from arrowmind.quantize.report import PrecisionReport

__all__ = ["Swapper"]

_log = get_logger("arrowmind.quantize")
_INT8 = Grid("int8", 0, "fp32")
# Costs do not quite add up: a round swaps what would gain this much more than is lacking.
_MARGIN = 1.5


class Swapper:
    """Widens tensors of an outcome, the worst first.

    Attributes:
        swapped: by name, what was done: ``int4 -> int8``.
    """

    def __init__(self, job: Job, outcome: Outcome, calibrator: Calibrator | None) -> None:
        """Prepares to change ``outcome``, which the job was quantised to.

        Args:
            job: what was quantised.
            outcome: what it came to; changed in place.
            calibrator: runs the model; None goes by the errors of the weights.
        """
        self.swapped: dict[str, str] = {}
        self._job, self._outcome, self._calibrator = job, outcome, calibrator
        self._pending: list[tuple[float, str]] = []
        self._rounds = 0

    def widen(self, report: PrecisionReport) -> bool:
        """Widens the next tensors; false when none can be.

        Args:
            report: of the outcome as it is, which is below a threshold.
        """
        if not self._pending:
            self._pending = self._costs(report)
        if not self._pending:
            return False
        lacking = _MARGIN * _lacking(report)
        least, self._rounds = 1 << self._rounds, self._rounds + 1
        taken, gained = 0, 0.0
        while self._pending and (taken < least or gained < lacking):
            cost, name = self._pending.pop(0)
            self._swap(name, cost)
            taken, gained = taken + 1, gained + max(0.0, cost)
        return True

    def _swap(self, name: str, cost: float) -> None:
        job, outcome, was = self._job, self._outcome, self._type_of(name)
        now = job.config.keep_type if was == "int8" else "int8"
        if now != "int8":
            outcome.codes.pop(name, None)
            outcome.floats[name] = now
        elif name in outcome.codes:
            outcome.codes[name] = round_alone(job, name, _INT8)
        else:
            outcome.tables[name] = now
        first = self.swapped.get(name, was).partition(" ")[0]
        self.swapped[name] = f"{first} -> {now}"
        _log.warning("a tensor gets a wider type", tensor=name, was=was, now=now, cost=float(f"{cost:.3g}"))

    def _type_of(self, name: str) -> str:
        """The type of a tensor's codes; empty for a tensor without."""
        codes = self._outcome.codes.get(name)
        if codes is None:
            return table_type(self._job, self._outcome, name)
        return "int8" if isinstance(codes, Quantized) else codes.grid.quant_type

    def _costs(self, report: PrecisionReport) -> list[tuple[float, str]]:
        """Tensors that can be wider, with what they cost, the worst first."""
        names = [name for name in self._job.weights.names() if self._type_of(name)]
        narrow = [name for name in names if self._type_of(name) != "int8"] or names
        if self._calibrator is None:
            costs = [(report.tensors.get(name, 0.0), name) for name in narrow]
        else:
            costs = self._measured(self._calibrator, narrow)
        return sorted(costs, key=lambda item: (-item[0], item[1]))

    def _measured(self, calibrator: Calibrator, names: list[str]) -> list[tuple[float, str]]:
        job, outcome = self._job, self._outcome
        stand: dict[str, HasValues | npt.NDArray[np.float32]] = outcome.replaced(job)
        stand.update({name: table_values(job, outcome, name) for name in names if name not in outcome.codes})
        original = calibrator.embeddings({})

        def nearness(without: str) -> float:
            kept = {name: values for name, values in stand.items() if name != without}
            return float((calibrator.embeddings(kept) * original).sum(axis=1).mean())

        whole, costs = nearness(""), []
        for done, name in enumerate(names):
            job.progress(done, len(names), "measuring")
            costs.append((nearness(name) - whole, name))
        job.progress(len(names), len(names), "measuring")
        return costs


def _lacking(report: PrecisionReport) -> float:
    """What is lacking, as a cosine."""
    if report.kl_mean is not None:
        # Of roots of probabilities, 1 - cosine is about a quarter of the divergence.
        return (report.kl_mean - report.thresholds.kl_mean) / 4
    return report.thresholds.cosine_mean - (report.cosine_mean or 0.0)
