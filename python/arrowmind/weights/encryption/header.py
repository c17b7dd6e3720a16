"""The header of an encrypted file, and the bounds on what it may ask for."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from arrowmind.errors import IntegrityError, WeightError
from arrowmind.frozen import dataclass

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "CHUNK_LOG2",
    "COST_LOG2",
    "FILE",
    "HEADER_BYTES",
    "ID_BYTES",
    "INDEX",
    "INDEX_NAME",
    "KEY",
    "MAC_BYTES",
    "MAGIC",
    "PASSPHRASE",
    "SALT_BYTES",
    "SUFFIX",
    "TAG_BYTES",
    "Header",
    "is_encrypted",
]

MAGIC = b"ARROWENC"
SUFFIX = ".enc"
INDEX_NAME = "encrypted.index"
"""Has not the suffix, so that it cannot be the name of an encrypted file."""

FILE, INDEX = 0, 1
KEY, PASSPHRASE = 0, 1
SALT_BYTES = ID_BYTES = MAC_BYTES = 32
TAG_BYTES = 16
CHUNK_LOG2 = 20
COST_LOG2 = 17
"""scrypt with N = 2^17, r = 8: 128 MiB, about half a second."""

_VERSION = 1
_BLOCK = 8
_CHUNK_BOUNDS = range(12, 25)  # 4 KiB to 16 MiB
_COST_BOUNDS = range(14, 20)  # 16 MiB to 512 MiB
_LANE_BOUNDS = range(1, 5)
_FIELDS = struct.Struct("<8s8B32s32s32s")
HEADER_BYTES = _FIELDS.size


@dataclass(frozen=True)
class Header:
    """What stands before the chunks.

    Attributes:
        salt: 32 random bytes, the same for all files of a folder.
        file_id: 32 random bytes, another for every file ever written.
        role: `FILE`, or `INDEX` for the index of a folder.
        kind: `KEY` or `PASSPHRASE`: what the secret was.
        chunk_log2: chunks hold 2 to the power of this many bytes of text, the last one at most as many.
        cost_log2: scrypt's N as a power of two; 0 for a key.
        lanes: scrypt's p; 0 for a key.
        mac: HMAC-SHA256 of all before it, under a key of this file.
    """

    salt: bytes
    file_id: bytes
    role: int = FILE
    kind: int = KEY
    chunk_log2: int = CHUNK_LOG2
    cost_log2: int = 0
    lanes: int = 0
    mac: bytes = bytes(MAC_BYTES)

    @property
    def chunk_bytes(self) -> int:
        """Bytes of text in a chunk that is not the last."""
        return 1 << self.chunk_log2

    @property
    def block(self) -> int:
        """Parameter r of scrypt; 0 for a key."""
        return _BLOCK if self.kind == PASSPHRASE else 0

    def encode(self) -> bytes:
        """The 112 bytes."""
        numbers = (self.role, self.kind, self.chunk_log2, self.cost_log2, self.block, self.lanes)
        return _FIELDS.pack(MAGIC, _VERSION, *numbers, 0, self.salt, self.file_id, self.mac)

    @classmethod
    def decode(cls, data: bytes, path: Path) -> Header:
        """Reads and bounds a header; whether it is genuine is found out with the key.

        Args:
            data: the first `HEADER_BYTES` bytes of the file, or all if it has fewer.
            path: the file, for messages.

        Raises:
            WeightError: this is no encrypted file, or of a newer version.
            IntegrityError: it is cut short, or asks for what no writer does.
        """
        if not data.startswith(MAGIC):
            raise WeightError(f"{path} is not encrypted by ArrowMind; `arrowmind encrypt` makes such files")
        if len(data) < HEADER_BYTES:
            raise IntegrityError(
                f"{path}: has {len(data)} bytes, its header alone {HEADER_BYTES}; copy it again"
            )
        _, version, role, kind, chunk, cost, block, lanes, zero, salt, file_id, mac = _FIELDS.unpack(data)
        if version != _VERSION:
            raise WeightError(
                f"{path}: version {version} is not {_VERSION}; upgrade ArrowMind or copy it again"
            )
        header = cls(salt, file_id, role, kind, chunk, cost, lanes, mac)
        header._check(path, block, zero)
        return header

    def _check(self, path: Path, block: int, zero: int) -> None:
        derivation = (self.cost_log2, self.lanes)
        is_sound = self.role in (FILE, INDEX) and self.chunk_log2 in _CHUNK_BOUNDS and zero == 0
        if not is_sound or self.kind not in (KEY, PASSPHRASE) or block != self.block:
            raise IntegrityError(f"{path}: its header holds values that none has; copy it again")
        if self.kind == KEY and derivation != (0, 0):
            raise IntegrityError(f"{path}: its header derives a key from a key; copy it again")
        if self.kind == PASSPHRASE and (self.cost_log2 not in _COST_BOUNDS or self.lanes not in _LANE_BOUNDS):
            raise IntegrityError(
                f"{path}: its header asks for scrypt with N = 2^{self.cost_log2}, p = {self.lanes}; at most "
                f"2^{_COST_BOUNDS[-1]} and {_LANE_BOUNDS[-1]}, at least 2^{_COST_BOUNDS[0]} and 1 are done"
            )


def is_encrypted(place: Path) -> bool:
    """Whether this is an encrypted folder or file."""
    if place.is_dir():
        return (place / INDEX_NAME).exists()
    try:
        with place.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False
