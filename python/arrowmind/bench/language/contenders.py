"""What `arrowmind bench llm` can measure: a row each, found by name.

A module of a row defines `prepare(job)`, which makes its files once and returns them, and
`open_session(job)`, which loads them.
"""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from arrowmind.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    import numpy as np
    import numpy.typing as npt

__all__ = ["LLAMA_CPP", "PEERS", "ROWS", "LanguageContender", "LanguageSession", "row_of"]

LLAMA_CPP = "llama.cpp"


class LanguageSession(Protocol):
    """A loaded model with one sequence."""

    weight_bytes: int  # that a token meets

    def feed(self, ids: Sequence[int]) -> npt.NDArray[np.float32]:
        """Appends tokens to the sequence; the logits after the last one, float32 [vocabulary]."""

    def restart(self) -> None:
        """Begins a sequence without tokens."""


@dataclass(frozen=True)
class LanguageContender:
    """A row: its name, the module that runs it, what that module is asked for, and who made it."""

    name: str
    module: str
    form: str
    group: str = "arrowmind"
    requires: tuple[str, ...] = ()

    def missing(self) -> list[str]:
        """Packages that this interpreter lacks for it."""
        return [package for package in self.requires if importlib.util.find_spec(package) is None]

    def load(self) -> ModuleType:
        """Imports its module."""
        return importlib.import_module(f"arrowmind.bench.language.{self.module}")


def _ours(form: str) -> LanguageContender:
    return LanguageContender(f"arrowmind-{form}", "ours", form)


def _theirs(form: str) -> LanguageContender:
    return LanguageContender(f"llama.cpp-{form}", "llama_cpp", form, LLAMA_CPP, ("llama_cpp",))


_INT2 = tuple(f"int2-{group}{head}" for head in ("", "-head4", "-head2") for group in ("g32", "g64"))
_OURS = ("int8", "int4", "int4-head4", *_INT2, "fp16")

ROWS = {row.name: row for row in (*map(_ours, _OURS), *map(_theirs, ("F16", "Q8_0", "Q4_0", "Q2_K")))}
PEERS = (LLAMA_CPP,)


def row_of(name: str) -> LanguageContender:
    """The row of this name.

    Raises:
        ConfigurationError: there is none.
    """
    if name not in ROWS:
        raise ConfigurationError(f"[bench] unknown contender {name!r}: choose from {', '.join(ROWS)}")
    return ROWS[name]
