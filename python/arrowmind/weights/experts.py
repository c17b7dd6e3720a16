"""Experts that a file stacks in one tensor (`experts.gate_up_proj` [experts, n, k]), as matrices."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from arrowmind.errors import WeightError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Part", "unstacked"]

_STACKED = re.compile(r"^(.*\bexperts)\.(gate_up_proj|gate_proj|up_proj|down_proj|w1|w2|w3)(?:\.weight)?$")
_JOINED = {"gate_up_proj": ("gate_proj", "up_proj")}
# More than any model has; a file cannot ask for more names than this.
_MOST = 1024


@dataclass(frozen=True)
class Part:
    """A matrix within a stored tensor.

    Attributes:
        stored: the tensor's name in the file.
        expert: which matrix of a stack; None for a tensor that is no stack.
        rows: of that matrix.
        shape: of the part.
    """

    stored: str
    expert: int | None
    rows: slice
    shape: tuple[int, ...]


def unstacked(shapes: Iterable[tuple[str, tuple[int, ...]]]) -> dict[str, Part]:
    """The tensors of a file by the names of the model: stacks in parts, everything else as it is.

    Args:
        shapes: names and shapes in the file.

    Raises:
        WeightError: a stack cannot be taken apart, or two tensors would have one name.
    """
    parts: dict[str, Part] = {}
    for name, shape in shapes:
        found = _STACKED.match(name) if len(shape) == 3 else None  # experts, rows, columns
        made = (
            {name: Part(name, None, slice(None), shape)}
            if found is None
            else _parts(name, shape, *found.groups())
        )
        twice = parts.keys() & made.keys()
        if twice:
            raise WeightError(f"tensors {parts[min(twice)].stored!r} and {name!r} hold the same experts")
        parts |= made
    return parts


def _parts(name: str, shape: tuple[int, ...], place: str, kind: str) -> dict[str, Part]:
    experts, rows, columns = shape
    kinds = _JOINED.get(kind, (kind,))
    if experts > _MOST or rows % len(kinds):
        raise WeightError(
            f"tensor {name!r} has shape {list(shape)}: at most {_MOST} experts, each of "
            f"{' and '.join(kinds)} of one size, are needed"
        )
    each = rows // len(kinds)
    return {
        f"{place}.{expert}.{part}.weight": Part(
            name, expert, slice(at * each, (at + 1) * each), (each, columns)
        )
        for expert in range(experts)
        for at, part in enumerate(kinds)
    }
