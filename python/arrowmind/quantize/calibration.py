"""What a quantiser calibrates on: which texts, and how inputs are scaled by what they show."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from arrowmind.quantize.calibration_texts import CALIBRATION_TEXTS
from arrowmind.quantize.corpus import documentation, pieces
from arrowmind.quantize.dictionary import dictionary
from arrowmind.quantize.report import hash_of_texts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arrowmind.quantize.config import QuantizationConfig

__all__ = ["Texts"]

# Texts for moments, and for means of squares; more cost time and gain little.
_MANY, _FEW = 600, 120


@dataclass(frozen=True)
class Texts:
    """Calibration texts of one quantisation.

    Attributes:
        config: how to quantise.
        given: texts of the user; None takes built-in ones.
        follows_inputs: whether a calibrator runs the model over many texts.
        scales_inputs: whether an observer runs the original.
    """

    config: QuantizationConfig
    given: Sequence[str] | None
    follows_inputs: bool
    scales_inputs: bool

    @property
    def for_statistics(self) -> Sequence[str]:
        """For the observer: a few dozen do."""
        given = self.given or CALIBRATION_TEXTS
        return given if len(given) <= _FEW else pieces(given, _FEW, self.config.seed)

    @property
    def for_moments(self) -> Sequence[str]:
        """For the calibrator, which wants many."""
        if self.given is None:
            return [*CALIBRATION_TEXTS, *pieces(documentation(), _MANY, self.config.seed)]
        return self.given if len(self.given) <= _MANY else pieces(self.given, _MANY, self.config.seed)

    @property
    def for_training(self) -> tuple[str, ...]:
        """All there are, for methods that cut them themselves; nothing for the others."""
        return self._all() if self.config.calibration == "distill" else ()

    @property
    def sha256(self) -> str:
        """Of what calibration reads or cuts its pieces from, in order; empty where it does without."""
        if self.follows_inputs or self.config.calibration == "distill":
            return hash_of_texts(self._all())
        return hash_of_texts(self.for_statistics) if self.scales_inputs else ""

    def _all(self) -> tuple[str, ...]:
        if self.given is not None:
            return tuple(self.given)
        return (*CALIBRATION_TEXTS, *documentation(), *self._words)

    @cached_property
    def _words(self) -> tuple[str, ...]:
        """A dictionary's, for training: kinds of texts that it never sees lose the most."""
        return tuple(dictionary()) if self.config.calibration == "distill" else ()
