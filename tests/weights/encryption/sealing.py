"""What tests of encryption share: keys, files, and what refusing looks like."""

from __future__ import annotations

import pytest

from arrowmind.errors import (
    IntegrityError,
)
from arrowmind.weights import decrypt_model, encrypt_model
from arrowmind.weights.encryption import header as layout
from arrowmind.weights.encryption.header import TAG_BYTES
from arrowmind.weights.encryption.secret import Secret

KEY = Secret(layout.KEY, bytes(range(32)))
OTHER = Secret(layout.KEY, bytes(32))
CHUNK = 1 << 12
SEALED = CHUNK + TAG_BYTES


def content(size):
    return (b"%08d" * (size // 8 + 1) % tuple(range(size // 8 + 1)))[:size]


def encrypted(folder, data, secret=KEY, **options):
    (folder / "plain").write_bytes(data)
    encrypt_model(folder / "plain", folder / "sealed", secret, force=True, **options)
    return folder / "sealed"


def refused(folder, data, error=IntegrityError, match=None, secret=KEY):
    """Decrypting this is refused, and nothing is left of the attempt."""
    place = folder / "attack"
    place.mkdir(exist_ok=True)
    (place / "bad").write_bytes(data)
    with pytest.raises(error, match=match):
        decrypt_model(place / "bad", place / "text", secret)
    assert [path.name for path in place.iterdir()] == ["bad"]


def tree(folder):
    """Every name below a folder, with the bytes of files."""
    paths = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    return {name: path.read_bytes() if path.is_file() else None for name, path in paths.items()}


def folder_refused(vault, error=IntegrityError, match=None, secret=KEY):
    output = vault.with_name("back")
    before = sorted(path.name for path in vault.parent.iterdir())
    with pytest.raises(error, match=match):
        decrypt_model(vault, output, secret)
    assert sorted(path.name for path in vault.parent.iterdir()) == before
