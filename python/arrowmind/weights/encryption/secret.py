"""Keys and passphrases: where they come from. None is ever printed or logged."""

from __future__ import annotations

import base64
import binascii
import os
import re
import stat
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from arrowmind.config import KEY_VARIABLE
from arrowmind.errors import ConfigurationError
from arrowmind.weights.encryption.header import KEY, PASSPHRASE

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "MIN_PASSPHRASE",
    "Secret",
    "key_from_environment",
    "key_from_file",
    "key_from_keyring",
    "parse_key",
    "passphrase_from_file",
    "passphrase_from_text",
    "read_private_line",
]

MIN_PASSPHRASE = 8
"""Characters. What slows guessing down does not help where there is little to guess."""

_KEY_BYTES = 32
_MAX_FILE_BYTES = 4096
_SERVICE = "arrowmind"
_FORM = "64 hex digits or 44 characters of base64 for 32 bytes (`openssl rand -hex 32` makes one)"


@dataclass(frozen=True)
class Secret:
    """A key or a passphrase.

    Attributes:
        kind: `header.KEY` or `header.PASSPHRASE`.
        value: the 32 bytes, or the passphrase in UTF-8; kept out of `repr`.
    """

    kind: int
    value: bytes = field(repr=False)


def parse_key(text: str, origin: str) -> Secret:
    """A key as text.

    Args:
        text: 64 hex digits or base64 of 32 bytes, white space around it is dropped.
        origin: where it stands, for messages; the text itself is never in one.

    Raises:
        ConfigurationError: it is neither.
    """
    text = text.strip()
    if re.fullmatch(r"[0-9a-fA-F]{64}", text):
        return Secret(KEY, bytes.fromhex(text))
    try:
        key = base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != _KEY_BYTES:
        raise ConfigurationError(f"{origin}: holds no key, which is {_FORM}")
    return Secret(KEY, key)


def key_from_environment(env: Mapping[str, str] | None = None) -> Secret | None:
    """The key in ARROWMIND_KEY; None if it is unset or empty.

    Raises:
        ConfigurationError: it holds no key.
    """
    text = (os.environ if env is None else env).get(KEY_VARIABLE, "")
    return parse_key(text, f"the environment variable {KEY_VARIABLE}") if text else None


def key_from_file(path: str | os.PathLike[str]) -> Secret:
    """The key in a file that nobody else may read (mode 600 or less).

    Raises:
        ConfigurationError: there is no such file, others may read it, or it holds no key.
    """
    return parse_key(_read_private(Path(path)), str(path))


def passphrase_from_file(path: str | os.PathLike[str]) -> Secret:
    """The one line of a file that nobody else may read (mode 600 or less).

    Raises:
        ConfigurationError: there is no such file, others may read it, or it is not one line.
    """
    return passphrase_from_text(read_private_line(path), str(path))


def read_private_line(path: str | os.PathLike[str]) -> str:
    """The one line of a file that nobody else may read (mode 600 or less), whatever it holds.

    Raises:
        ConfigurationError: there is no such file, others may read it, or it is not one line.
    """
    text = _read_private(Path(path))
    lines = text.removesuffix("\n").removesuffix("\r").split("\n")
    if len(lines) != 1:
        raise ConfigurationError(f"{path}: has {len(lines)} lines; a passphrase or key is one line")
    return lines[0]


def passphrase_from_text(text: str, origin: str = "the passphrase") -> Secret:
    """A passphrase as typed; however a keyboard composes its accents, it is the same (Unicode NFC).

    Raises:
        ConfigurationError: it is empty.
    """
    if not text:
        raise ConfigurationError(f"{origin}: is empty; at least {MIN_PASSPHRASE} characters are needed")
    return Secret(PASSPHRASE, unicodedata.normalize("NFC", text).encode("utf-8", "surrogateescape"))


def key_from_keyring(name: str) -> Secret:
    """The key that the system's keyring holds for service `arrowmind` under this name.

    Raises:
        ConfigurationError: the package keyring is absent, does not work here, or has no key of that name.
    """
    try:
        import keyring  # noqa: PLC0415  (optional)
        from keyring.errors import KeyringError  # noqa: PLC0415
    except ImportError as error:
        raise ConfigurationError(
            "the system's keyring needs a package: pip install 'arrowmind[keyring]'; or use a key file"
        ) from error
    try:
        text = keyring.get_password(_SERVICE, name)
    except KeyringError as error:
        raise ConfigurationError(f"keyring {name!r}: cannot be read ({error}); or use a key file") from error
    if text is None:
        raise ConfigurationError(
            f"keyring: has no {name!r} for {_SERVICE}; `keyring set {_SERVICE} {name}` stores one: {_FORM}"
        )
    return parse_key(text, f"keyring {name!r}")


def _read_private(path: Path) -> str:
    try:
        data = _read_bytes(path)
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read ({error.strerror}); give another file") from error
    if len(data) > _MAX_FILE_BYTES:
        raise ConfigurationError(
            f"{path}: has more than {_MAX_FILE_BYTES} bytes; that is no key, no passphrase"
        )
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: is not UTF-8; write it as text ({_FORM})") from error


def _read_bytes(path: Path) -> bytes:
    """At most one byte more than there may be."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # does not wait for a pipe's end
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise ConfigurationError(f"{path}: is no file; give one that holds the secret")
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise ConfigurationError(
                f"{path}: others may use it (mode {stat.S_IMODE(mode):o}); `chmod 600 {path}`"
            )
        return os.read(descriptor, _MAX_FILE_BYTES + 1)
    finally:
        os.close(descriptor)
