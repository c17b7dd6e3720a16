"""What was foretold of a run beside what was measured."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from arrowmind.frozen import dataclass
from arrowmind.observe import get_logger, metrics

if TYPE_CHECKING:
    from arrowmind.engine.planning import Forecast
    from arrowmind.generate import Timings

__all__ = ["Comparison", "Witness"]

_log = get_logger("arrowmind.engine")


@dataclass(frozen=True)
class Comparison:
    """One text that ran alone.

    Attributes:
        foretold_tokens_per_second: of writing.
        tokens_per_second: measured; 0 for a text of one token.
        foretold_first_seconds: from the request to the first token.
        first_seconds: measured.
    """

    foretold_tokens_per_second: float
    tokens_per_second: float
    foretold_first_seconds: float
    first_seconds: float

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    def __str__(self) -> str:
        speed = (
            f"{self.foretold_tokens_per_second:.2f} tokens/s foretold, {self.tokens_per_second:.2f} measured"
        )
        first = f"{self.foretold_first_seconds:.2f} s foretold, {self.first_seconds:.2f} s measured"
        return f"{speed}; first token after {first}"


class Witness:
    """Sees texts end. Called by the thread that runs the model."""

    def __init__(self, forecast: Forecast | None, name: str) -> None:
        """Tells the metrics what is foretold.

        Args:
            forecast: of the runs; None where nothing could be foretold.
            name: of the model, in metrics and logs.
        """
        self._forecast, self._name = forecast, name
        self._seen = 0
        self.last: Comparison | None = None
        if forecast is not None:
            metrics.foretold_tokens_per_second.set(1 / forecast.token_seconds, model=name)
            metrics.foretold_first_token_seconds.set(forecast.plan().first_seconds, model=name)

    def ended(self, timings: Timings, *, alone: bool) -> None:
        """A text is complete; `alone`: no other was run beside it."""
        self._seen += 1
        if timings.tokens > 1:
            metrics.tokens_per_second.set(timings.tokens_per_second, model=self._name)
        if self._forecast is None or not alone:
            return
        self.last = Comparison(
            1 / self._forecast.token_seconds,
            timings.tokens_per_second,
            self._forecast.first_seconds(timings.prompt_tokens, is_first=self._seen == 1),
            timings.first_token_seconds,
        )
        metrics.foretold_first_token_seconds.set(self.last.foretold_first_seconds, model=self._name)
        metrics.last_first_token_seconds.set(self.last.first_seconds, model=self._name)
        _log.info("foretold and measured", model=self._name, **self.last.to_dict())
