"""Whether a model may be opened: what its precision report says, against what is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from arrowmind.config import Config, keys
from arrowmind.errors import PrecisionError
from arrowmind.observe import get_logger
from arrowmind.quantize.measures import LANGUAGE, MEASURES
from arrowmind.weights.formats import FLOAT_TYPES

if TYPE_CHECKING:
    from arrowmind.weights import WeightSource

__all__ = ["admit"]

_log = get_logger("arrowmind.engine")
_SECTION = "precision."
_LARGE = 1e300
_told: set[str] = set()
_BY_NAME = {measure.name: measure for measure in MEASURES}


def admit(weights: WeightSource, config: Config) -> None:
    """Refuses a model whose precision is below a threshold; with `precision.below` = warn, logs it instead.

    The thresholds are those its report was judged by, and those of the section `precision` that are set.
    A report of other weights is refused likewise. What was never quantised needs no report. A quantised model
    without one is opened, and this is logged once in a process; so are tensors that were made wider to reach
    the thresholds.

    Args:
        weights: of the model.
        config: the configuration.

    Raises:
        PrecisionError: naming figures, thresholds and the remedy.
    """
    report = weights.precision
    measured = bool(report) and report.get("verdict") in ("passed", "refused")
    if not measured:
        _tell_once(weights, "no report of a precision check; `arrowmind validate` measures it")
    strange = _of_other_weights(weights, report)
    if strange:
        _refuse(config, strange, "quantise the original again, or convert the model anew")
    complaints = [*_below_its_own(report), *_below_what_is_set(weights, report, config)] if measured else []
    if complaints:
        message = f"{weights.path}: its precision is below a threshold: {'; '.join(complaints)}"
        _refuse(
            config,
            message,
            "quantise the original again with more bits, a better method, on_failure='swap' or keep=..., "
            "lower the threshold that is set",
        )
    _tell_of_swaps(weights, report)


def _refuse(config: Config, message: str, remedy: str) -> None:
    if config.precision.below != "warn":
        raise PrecisionError(
            f"{message}; {remedy}, or use it all the same with precision.below set to 'warn'"
        )
    _log.warning("a model below its precision threshold is used", reason=message)


def _of_other_weights(weights: WeightSource, report: dict[str, Any]) -> str:
    """What is wrong with a report that a check of other weights gave; empty for none."""
    checked = report.get("candidate")
    if not checked or checked == weights.fingerprint:
        return ""
    return (
        f"{weights.path}: its precision report is of weights with the fingerprint {checked!s:.16}..., these "
        f"have {weights.fingerprint:.16}...: it was copied from another file, or tensors were changed since"
    )


def _tell_of_swaps(weights: WeightSource, report: dict[str, Any]) -> None:
    swapped = report.get("swapped")
    place = f"{weights.path}: swapped"
    if isinstance(swapped, dict) and swapped and place not in _told:
        _told.add(place)
        _log.info("a model has tensors that were made wider to reach its thresholds", tensors=swapped)


def _below_its_own(report: dict[str, Any]) -> list[str]:
    """What a refused report was refused for."""
    if report["verdict"] != "refused":
        return []
    thresholds = report.get("thresholds")
    asked = thresholds if isinstance(thresholds, dict) else {}
    found = [
        f"{name} is {_text(report.get(name))}, {_BY_NAME[name].demand(_text(bound))} was needed"
        for name, bound in asked.items()
        if name in _BY_NAME and _concerns(name, report) and not _keeps(name, report.get(name), bound)
    ]
    return found or ["the check refused it and does not say why"]


def _below_what_is_set(weights: WeightSource, report: dict[str, Any], config: Config) -> list[str]:
    complaints = []
    for path, key in keys(Config).items():
        if not path.startswith(_SECTION) or key.type_name != "float" or path not in config.origins:
            continue
        figure, bound = report.get(key.name), config.get(path)
        if not _concerns(key.name, report):
            continue
        if figure is None:
            lacks = f"its report lacks {key.name}, for which {path} sets a threshold"
            _tell_once(weights, f"{lacks}; `arrowmind validate` measures it")
        elif not _keeps(key.name, figure, bound):
            asks = _BY_NAME[key.name].demand(f"{bound:.6g}")
            complaints.append(
                f"{key.name} is {_text(figure)}, {path} ({config.origin(path)}) asks for {asks}"
            )
    return complaints


def _concerns(name: str, report: dict[str, Any]) -> bool:
    """Whether a figure is one of this kind of model: a report of language models has a perplexity."""
    is_language = report.get("perplexity") is not None
    return (_BY_NAME.get(name) in LANGUAGE) == is_language


def _keeps(name: str, figure: object, bound: object) -> bool:
    """False, too, for what is no number: a report may hold anything."""
    value, threshold = _number(figure), _number(bound)
    return value is not None and threshold is not None and _BY_NAME[name].accepts(value, threshold)


def _number(value: object) -> float | None:
    # What is NaN, or an integer beyond all floats, is not below it.
    return float(value) if isinstance(value, int | float) and abs(value) < _LARGE else None


def _text(figure: object) -> str:
    number = _number(figure)
    return "no number" if number is None else f"{number:.6g}"


def _tell_once(weights: WeightSource, what: str) -> None:
    place = f"{weights.path}: {what}"
    if place in _told:
        return
    _told.add(place)
    if any(weights.spec(name).quant_type not in FLOAT_TYPES for name in weights.names()):
        _log.warning("a quantised model of unknown precision", path=str(weights.path), reason=what)
