"""The metrics of a process at one moment."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from arrowmind.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Sample", "parse_metrics"]

_PREFIX = "arrowmind_"
_MOST = 100_000


@dataclass(frozen=True)
class Sample:
    """Numbers by name and labels.

    Attributes:
        time: when they were read, in seconds of a clock that only goes forward.
        values: by name without the prefix `arrowmind_`; then by labels, sorted pairs of name and value.
    """

    time: float
    values: dict[str, dict[tuple[tuple[str, str], ...], float]] = field(default_factory=dict)

    def all(self, name: str, **labels: str) -> Iterator[tuple[dict[str, str], float]]:
        """Labels and value of each series that has these labels."""
        wanted = set(labels.items())
        for found, value in self.values.get(name, {}).items():
            if wanted <= set(found):
                yield dict(found), value

    def sum(self, name: str, **labels: str) -> float:
        """Sum of these series; 0 without any."""
        return sum(value for _, value in self.all(name, **labels))

    def one(self, name: str, **labels: str) -> float | None:
        """The first of these series; None without any."""
        return next((value for _, value in self.all(name, **labels)), None)


def parse_metrics(text: str, time: float) -> Sample:
    """Reads the Prometheus text format; what others than ArrowMind tell is left out.

    Raises:
        InvalidArgumentError: it is none, or has too many series.
    """
    from prometheus_client.parser import text_string_to_metric_families  # noqa: PLC0415  costs 0.1 s

    values: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    try:
        count = 0
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                count += 1
                if count > _MOST:
                    raise InvalidArgumentError(f"more than {_MOST} series; this is no server of ArrowMind")
                if sample.name.startswith(_PREFIX):
                    labels = tuple(sorted(sample.labels.items()))
                    values.setdefault(sample.name.removeprefix(_PREFIX), {})[labels] = float(sample.value)
    except (ValueError, KeyError, IndexError) as error:
        raise InvalidArgumentError(f"no metrics in Prometheus's text format ({error!s:.200})") from error
    return Sample(time, values)
