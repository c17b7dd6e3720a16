"""Is one result worse than another? Two JSON files in, a table and a verdict out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from arrowmind.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["FORMAT", "VERSION", "Change", "Limits", "compare", "read_result"]

FORMAT, VERSION = "arrowmind.bench", 1
_OURS = "arrowmind-"


@dataclass(frozen=True)
class Limits:
    """How much worse is worse: shares of the value before, and a difference for cosines."""

    speed: float = 0.10
    size: float = 0.02
    cosine: float = 0.0005


@dataclass(frozen=True)
class Change:
    """One figure in both results. `worse` is the share lost, or the cosine; `limit` is what is allowed."""

    what: str
    before: float
    after: float
    worse: float
    limit: float

    @property
    def regressed(self) -> bool:
        """Whether it is worse by more than allowed."""
        return self.worse > self.limit


def read_result(path: Path) -> dict[str, Any]:
    """Read the JSON of a run.

    Raises:
        InvalidArgumentError: The file is something else, or of a newer version.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidArgumentError(f"{path}: cannot be read as a benchmark result: {error}") from error
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise InvalidArgumentError(
            f"{path}: is not a result of `arrowmind bench`; give one of its JSON files"
        )
    if value.get("version") != VERSION:
        raise InvalidArgumentError(
            f"{path}: has version {value.get('version')!r}, this program reads {VERSION}; measure again"
        )
    return value


def compare(
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    limits: Limits | None = None,
    relative_to: str | None = None,
) -> list[Change]:
    """List every figure of our own that both results have.

    Args:
        before: The result to hold the other against.
        after: The result to judge.
        limits: What is allowed.
        relative_to: A contender of both; speeds are divided by its own, which cancels the machine's state.

    Raises:
        InvalidArgumentError: The results have nothing in common, or one lacks `relative_to`.
    """
    allowed = limits or Limits()
    units = [_unit(result, relative_to) for result in (before, after)]
    old, new = (dict(_figures(result, unit)) for result, unit in zip((before, after), units, strict=True))
    changes = [
        _change(what, old[what][0], new[what][0], old[what][1], allowed) for what in old if what in new
    ]
    if not changes:
        raise InvalidArgumentError("the results have no contender or kernel in common: nothing to compare")
    return changes


def _unit(result: Mapping[str, Any], name: str | None) -> float:
    if name is None:
        return 1.0
    summary = result["contenders"].get(name, {}).get("summary", {})
    if "sentences_per_s" not in summary:
        raise InvalidArgumentError(f"a result has no figures of {name!r}: choose a contender of both")
    return float(summary["sentences_per_s"]["median"])


def _figures(result: Mapping[str, Any], unit: float) -> Iterator[tuple[str, tuple[float, str]]]:
    """Name, value and kind: faster, slower (less is better), size, cosine."""
    for name, lane in result["contenders"].items():
        if not name.startswith(_OURS) or lane["error"] is not None:
            continue
        summary = lane["summary"]
        yield f"{name} sentences/s", (summary["sentences_per_s"]["median"] / unit, "faster")
        for key, label in (("short", "16 tokens, ms"), ("long", "128 tokens, ms")):
            yield f"{name} {label}", (summary[key]["p50_ms"] * unit, "slower")
        if unit == 1.0:
            yield f"{name} start, s", (summary["start_seconds"]["median"], "slower")
        yield f"{name} resident, bytes", (summary["resident_first"], "size")
        yield f"{name} file, bytes", (lane["weights_bytes"], "size")
        for key, value in lane["fidelity"].items():
            yield f"{name} {key}", (value, "cosine")
        for key, value in lane["similarity"].items():
            yield f"{name} Spearman {key}", (value, "cosine")
    if unit == 1.0:
        for row in (result["operators"] or {"results": []})["results"]:
            name = f"{row['op']} {row['width']} " if "width" in row else ""
            yield f"{name}{row['kernel']} {row['shape']} {row['threads']}T, s", (row["best_s"], "slower")


def _change(what: str, before: float, after: float, kind: str, limits: Limits) -> Change:
    if kind == "cosine":
        return Change(what, before, after, before - after, limits.cosine)
    worse = before / after - 1 if kind == "faster" else after / before - 1
    return Change(what, before, after, worse, limits.size if kind == "size" else limits.speed)
