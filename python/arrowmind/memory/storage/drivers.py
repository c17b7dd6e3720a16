"""SQLite, and SQLCipher for stores that are encrypted: the same library with every page sealed.

SQLCipher is another copy of SQLite with locks of its own kind: a file is only ever opened by one of the two.
"""

from __future__ import annotations

import importlib
import sqlite3
import sys
from typing import Any, cast

from arrowmind.errors import ConfigurationError

__all__ = ["database_errors", "open_cipher", "open_database", "set_key"]

_CIPHER = "sqlcipher3"


def open_database(uri: str, busy_seconds: float, key: str | None = None) -> sqlite3.Connection:
    """A connection in autocommit mode, for any thread.

    Args:
        uri: of the file.
        busy_seconds: how long to wait for the lock of another.
        key: 64 hex digits; None for a database that is not encrypted.

    Raises:
        ConfigurationError: a key is given, and SQLCipher is not installed.
    """
    if key is None:
        return _connect(sqlite3, uri, busy_seconds)
    db = open_cipher(uri, busy_seconds)
    set_key(db, key)
    return db


def open_cipher(uri: str, busy_seconds: float) -> sqlite3.Connection:
    """A connection of SQLCipher that knows no key yet, and reads what is not encrypted."""
    return _connect(_cipher_driver(), uri, busy_seconds)


def _connect(driver: Any, uri: str, busy_seconds: float) -> sqlite3.Connection:
    options = {"uri": True, "isolation_level": None, "timeout": busy_seconds, "check_same_thread": False}
    return cast("sqlite3.Connection", driver.connect(uri, **options))


def set_key(db: sqlite3.Connection, key: str) -> None:
    """Tells a new connection the key. Its own log would repeat on stderr what the errors say."""
    db.execute("PRAGMA cipher_log_level = NONE")
    db.execute(f"PRAGMA key = \"x'{key}'\"")


def _cipher_driver() -> Any:
    try:
        return importlib.import_module(_CIPHER)  # optional
    except ImportError as error:
        raise ConfigurationError(
            "an encrypted store needs SQLCipher: pip install 'arrowmind[encryption]'"
        ) from error


def database_errors() -> tuple[type[Exception], ...]:
    """What the drivers in use raise."""
    cipher = sys.modules.get(_CIPHER)
    return (sqlite3.Error,) if cipher is None else (sqlite3.Error, cipher.Error)
