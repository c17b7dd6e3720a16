"""One encrypted file: what comes back, and the bytes it has."""

from __future__ import annotations

import hashlib
import hmac
import tracemalloc

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from tests.weights.encryption.sealing import (
    CHUNK,
    KEY,
    OTHER,
    SEALED,
    content,
    encrypted,
    refused,
)

from arrowmind.errors import (
    WeightError,
)
from arrowmind.weights import decrypt_model, encrypt_model
from arrowmind.weights.encryption import secret as secrets
from arrowmind.weights.encryption.header import HEADER_BYTES, TAG_BYTES


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 5])
def test_a_file_comes_back(tmp_path, size):
    sealed = encrypted(tmp_path, content(size))
    chunks = max(1, -(-size // CHUNK))
    assert sealed.stat().st_size == HEADER_BYTES + size + TAG_BYTES * chunks
    seen = []
    report = decrypt_model(sealed, tmp_path / "back", KEY, progress=lambda *step: seen.append(step))
    assert (tmp_path / "back").read_bytes() == content(size)
    assert (report.files, report.bytes) == (1, size)
    assert seen[-1] == (size, size, "sealed")


def test_the_bytes_are_those_of_the_specification(tmp_path):
    """Decrypts by the page docs/formats/encrypted.md alone."""
    data = encrypted(tmp_path, content(300 * CHUNK + 5)).read_bytes()
    assert data[:8] == b"ARROWENC"
    assert list(data[8:16]) == [1, 0, 0, 12, 0, 0, 0, 0]
    keys = HKDF(SHA256(), 64, salt=data[16:80], info=b"arrowmind.encrypted 1").derive(bytes(range(32)))
    assert data[80:112] == hmac.digest(keys[:32], data[:80], "sha256")
    cipher, head = AESGCM(keys[32:]), data[:112]
    text = b""
    for number in range(301):
        nonce = number.to_bytes(11, "big") + (b"\1" if number == 300 else b"\0")
        text += cipher.decrypt(nonce, data[112 + number * SEALED :][:SEALED], head)
    assert text == content(300 * CHUNK + 5)


def test_a_passphrase_is_scrypt(tmp_path):
    secret = secrets.passphrase_from_text("correct horse")
    data = encrypted(tmp_path, b"text", secret, cost_log2=14).read_bytes()
    assert list(data[9:15]) == [0, 1, 12, 14, 8, 1]
    root = hashlib.scrypt(b"correct horse", salt=data[16:48], n=1 << 14, r=8, p=1, dklen=32)
    keys = HKDF(SHA256(), 64, salt=data[16:80], info=b"arrowmind.encrypted 1").derive(root)
    assert AESGCM(keys[32:]).decrypt(bytes(11) + b"\1", data[112:], data[:112]) == b"text"
    decrypt_model(tmp_path / "sealed", tmp_path / "back", secret)
    assert (tmp_path / "back").read_bytes() == b"text"
    refused(tmp_path, data, match="passphrase is not", secret=secrets.passphrase_from_text("wrong horse"))
    refused(tmp_path, data, WeightError, "with a passphrase, not a key")


def test_nothing_repeats(tmp_path):
    first, second = (encrypted(tmp_path, content(100)).read_bytes() for _ in range(2))
    assert first[16:48] != second[16:48]
    assert first[48:80] != second[48:80]
    assert first[112:] != second[112:]


def test_text_that_a_killed_process_left_is_removed(tmp_path):
    sealed = encrypted(tmp_path, b"text")
    left = tmp_path / f".back.{(1 << 22) + 1}-{'0' * 16}.tmp"
    left.write_bytes(b"te")
    decrypt_model(sealed, tmp_path / "back", KEY)
    assert not left.exists()


def test_a_wrong_key_is_told(tmp_path):
    refused(tmp_path, encrypted(tmp_path, content(9)).read_bytes(), match="key is not the one", secret=OTHER)


def test_memory_does_not_grow_with_the_file(tmp_path):
    with (tmp_path / "plain").open("wb") as file:
        file.truncate(64 << 20)
    tracemalloc.start()
    try:
        encrypt_model(tmp_path / "plain", tmp_path / "sealed", KEY)
        decrypt_model(tmp_path / "sealed", tmp_path / "back", KEY)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 << 20
