"""Privacy: what is private leaves texts before they are kept, who may do what, and what was done.

::

    detector, registry, detectors/   one kind of private data per file
    spans, folding                   where something stands; other forms of the same signs
    redactor                         takes it out: masked, as a pseudonym, or without a trace
    vault                            what pseudonyms stand for, encrypted
    access                           the access log: who did what, in a chain of hashes
    store_key                        what salts its hashes and signs receipts
    roles, guard                     who may do what in which namespace
    opening                          all of it as the settings ask, for one store
    needles, scanning, zstd_frames   every byte of a store is looked through for what was forgotten
    receipt                          that nothing of it was found
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
    from arrowmind.privacy.guard import Guard
    from arrowmind.privacy.opening import Privacy, open_privacy
    from arrowmind.privacy.receipt import (
        MemoryBytes,
        Receipt,
        ReceiptCheck,
        make_receipt,
        read_receipt,
        verify_receipt,
    )
    from arrowmind.privacy.roles import Rule, parse_rules
    from arrowmind.privacy.scanning import Place, ScanReport, find_bytes, find_bytes_apart
    from arrowmind.privacy.store_key import StoreKey, load_store_key
    from arrowmind.privacy.vault import Vault

__all__ = [
    "MODES",
    "Access",
    "AccessLog",
    "Detector",
    "Guard",
    "Head",
    "LogReport",
    "LogSettings",
    "MemoryBytes",
    "NameFinder",
    "Place",
    "Privacy",
    "Receipt",
    "ReceiptCheck",
    "Redaction",
    "Redactor",
    "Rule",
    "ScanReport",
    "Span",
    "StoreKey",
    "Vault",
    "find_bytes",
    "find_bytes_apart",
    "known_kinds",
    "load_store_key",
    "make_receipt",
    "open_privacy",
    "parse_rules",
    "read_log",
    "read_receipt",
    "standard_kinds",
    "verify_log",
    "verify_receipt",
]

# What needs cryptography or numpy is imported when it is asked for.
_HOMES = {
    "MemoryBytes": "receipt",
    "Place": "scanning",
    "Receipt": "receipt",
    "ReceiptCheck": "receipt",
    "ScanReport": "scanning",
    "find_bytes": "scanning",
    "find_bytes_apart": "scanning",
    "make_receipt": "receipt",
    "read_receipt": "receipt",
    "verify_receipt": "receipt",
    "Access": "access.entry",
    "AccessLog": "access.log",
    "Guard": "guard",
    "Head": "access.entry",
    "LogReport": "access.check",
    "LogSettings": "access.log",
    "Privacy": "opening",
    "Rule": "roles",
    "StoreKey": "store_key",
    "Vault": "vault",
    "load_store_key": "store_key",
    "open_privacy": "opening",
    "parse_rules": "roles",
    "read_log": "access.check",
    "verify_log": "access.check",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
