"""Privacy: what is private leaves texts before they are kept, who may do what, and what was done.

::

    detector, registry, detectors/   one kind of private data per file
    spans, folding                   where something stands; other forms of the same signs
    redactor                         takes it out: masked, as a pseudonym, or without a trace
    vault                            what pseudonyms stand for, encrypted
    journal                          files that are only appended to
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from arrowmind.privacy.detector import Detector, NameFinder
from arrowmind.privacy.redactor import MODES, Redaction, Redactor
from arrowmind.privacy.registry import known_kinds, standard_kinds
from arrowmind.privacy.spans import Span

if TYPE_CHECKING:
    from arrowmind.privacy.vault import Vault

__all__ = [
    "MODES",
    "Detector",
    "NameFinder",
    "Redaction",
    "Redactor",
    "Span",
    "Vault",
    "known_kinds",
    "standard_kinds",
]

# What needs cryptography or numpy is imported when it is asked for.
_HOMES = {"Vault": "vault"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
