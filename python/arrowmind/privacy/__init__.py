"""Privacy: what is private leaves texts before they are kept, who may do what, and what was done.

::

    detector, registry, detectors/   one kind of private data per file
    spans, folding                   where something stands; other forms of the same signs
    redactor                         takes it out: masked, as a pseudonym, or without a trace
    vault                            what pseudonyms stand for, encrypted
    access                           the access log: who did what, in a chain of hashes
    store_key                        what salts its hashes and signs receipts
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
    from arrowmind.privacy.access.check import LogReport, read_log, verify_log
    from arrowmind.privacy.access.entry import Access, Head
    from arrowmind.privacy.access.log import AccessLog, LogSettings
    from arrowmind.privacy.store_key import StoreKey, load_store_key
    from arrowmind.privacy.vault import Vault

__all__ = [
    "MODES",
    "Access",
    "AccessLog",
    "Detector",
    "Head",
    "LogReport",
    "LogSettings",
    "NameFinder",
    "Redaction",
    "Redactor",
    "Span",
    "StoreKey",
    "Vault",
    "known_kinds",
    "load_store_key",
    "read_log",
    "standard_kinds",
    "verify_log",
]

# What needs cryptography or numpy is imported when it is asked for.
_HOMES = {
    "Access": "access.entry",
    "AccessLog": "access.log",
    "Head": "access.entry",
    "LogReport": "access.check",
    "LogSettings": "access.log",
    "StoreKey": "store_key",
    "Vault": "vault",
    "load_store_key": "store_key",
    "read_log": "access.check",
    "verify_log": "access.check",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
