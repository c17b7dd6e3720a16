"""Changes as JSON, for the journal."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind.consolidate.records import Change, DerivedMemory, Quote, Tier
from arrowmind.errors import ConsolidationError

if TYPE_CHECKING:
    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float32]

__all__ = ["change_from_json", "change_to_json"]

_PLAIN = ("text", "valid_from", "valid_to", "namespace", "category", "made_by")
_LISTS = ("replaces", "replaces_here")


def change_to_json(change: Change) -> str:
    """The change without its run, which may be another when it is finished."""
    values = {
        "key": change.key,
        "derived": [_derived(memory) for memory in change.derived],
        "tiers": {str(id_): tier.name for id_, tier in change.tiers.items()},
        "closings": {str(id_): moment for id_, moment in change.closings.items()},
    }
    return json.dumps(values, ensure_ascii=True, separators=(",", ":"))


def _derived(memory: DerivedMemory) -> dict[str, Any]:
    values = {name: getattr(memory, name) for name in (*_PLAIN, *_LISTS)}
    values["quotes"] = [[quote.source, quote.text] for quote in memory.quotes]
    if memory.vector is not None:
        values["vector"] = base64.b64encode(memory.vector.astype("<f4").tobytes()).decode()
    return values


def change_from_json(text: str, run: str) -> Change:
    """The change, as made by a run.

    Raises:
        ConsolidationError: the text is damaged.
    """
    try:
        values = json.loads(text)
        return Change(
            key=values["key"],
            run=run,
            derived=tuple(_memory(item) for item in values["derived"]),
            tiers={int(id_): Tier[name] for id_, name in values["tiers"].items()},
            closings={int(id_): int(moment) for id_, moment in values["closings"].items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConsolidationError(
            f"an entry of the journal is damaged ({error}); remove consolidation.sqlite: the next run plans "
            "anew"
        ) from error


def _memory(values: dict[str, Any]) -> DerivedMemory:
    fields: dict[str, Any] = {name: values[name] for name in _PLAIN}
    fields |= {name: tuple(values[name]) for name in _LISTS}
    quotes = tuple(Quote(int(source), text) for source, text in values["quotes"])
    return DerivedMemory(quotes=quotes, vector=_vector(values.get("vector")), **fields)


def _vector(text: str | None) -> FloatArray | None:
    if text is None:
        return None
    return np.frombuffer(base64.b64decode(text, validate=True), dtype="<f4").astype(np.float32)
