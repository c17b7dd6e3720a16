"""Where keys come from: environment, files, passphrases, the keyring."""

from __future__ import annotations

import os
import subprocess
import sys
import types
from pathlib import Path

import pytest
from tests.weights.encryption.sealing import (
    KEY,
)

from arrowmind.errors import (
    ConfigurationError,
)
from arrowmind.weights import encrypt_model
from arrowmind.weights.encryption import secret as secrets


def private(path, data, mode=0o600):
    path.write_bytes(data)
    path.chmod(mode)
    return path


HEX = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"


@pytest.mark.parametrize(
    "text", [HEX, HEX.upper(), f" {HEX}\n", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="]
)
def test_keys(tmp_path, text):
    assert secrets.key_from_environment({"ARROWMIND_KEY": text}) == KEY
    assert secrets.key_from_file(private(tmp_path / "key", text.encode())) == KEY


@pytest.mark.parametrize("text", ["0" * 63, "0" * 66, "secretsecret", "AAECAwQ=", "!" * 44, "\u00e9" * 64])
def test_what_is_no_key(tmp_path, text):
    with pytest.raises(ConfigurationError, match="holds no key") as caught:
        secrets.key_from_environment({"ARROWMIND_KEY": text})
    assert text not in str(caught.value)
    with pytest.raises(ConfigurationError, match="holds no key"):
        secrets.key_from_file(private(tmp_path / "key", text.encode()))


def test_the_base64_of_the_web_is_taken():
    assert (
        secrets.parse_key("__" + "-" * 40 + "8=", "x").value
        == secrets.parse_key("//" + "+" * 40 + "8=", "x").value
    )


def test_no_key_in_the_environment():
    assert secrets.key_from_environment({}) is None
    assert secrets.key_from_environment({"ARROWMIND_KEY": ""}) is None


def test_a_secret_is_not_printed():
    text = repr(secrets.passphrase_from_text("correct horse"))
    assert "correct" not in text


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o666, 0o610])
def test_a_file_others_may_use_is_refused(tmp_path, mode):
    path = private(tmp_path / "key", HEX.encode(), mode)
    for read in (secrets.key_from_file, secrets.passphrase_from_file):
        with pytest.raises(ConfigurationError, match="chmod 600"):
            read(path)


def test_other_files_with_secrets(tmp_path):
    os.mkfifo(tmp_path / "pipe", 0o600)
    for path, match in [
        (tmp_path / "none", "cannot be read"),
        (tmp_path, "no file"),
        (tmp_path / "pipe", "no file"),
        (private(tmp_path / "big", b"0" * 5000), "more than 4096"),
        (private(tmp_path / "binary", b"\xff" * 32), "UTF-8"),
    ]:
        with pytest.raises(ConfigurationError, match=match):
            secrets.key_from_file(path)


def test_passphrases(tmp_path):
    read = secrets.passphrase_from_file
    expected = secrets.passphrase_from_text("caf\u00e9 horse")
    for text in ("caf\u00e9 horse", "cafe\u0301 horse\n", "caf\u00e9 horse\r\n"):
        assert read(private(tmp_path / "p", text.encode())) == expected
    with pytest.raises(ConfigurationError, match="2 lines"):
        read(private(tmp_path / "p", b"a\nb"))
    with pytest.raises(ConfigurationError, match="empty"):
        read(private(tmp_path / "p", b"\n"))
    (tmp_path / "plain").write_bytes(b"")
    with pytest.raises(ConfigurationError, match="too short"):
        encrypt_model(tmp_path / "plain", tmp_path / "out", secrets.passphrase_from_text("\u00e9" * 7))


def test_the_keyring_is_optional(monkeypatch):
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(ConfigurationError, match=r"arrowmind\[keyring\]"):
        secrets.key_from_keyring("laptop")


def test_the_keyring(monkeypatch):
    errors = types.ModuleType("keyring.errors")
    errors.KeyringError = type("KeyringError", (Exception,), {})
    kept = {("arrowmind", "laptop"): HEX, ("arrowmind", "bad"): "x"}

    def get_password(service, name):
        if name == "locked":
            raise errors.KeyringError("locked")
        return kept.get((service, name))

    ring = types.ModuleType("keyring")
    ring.get_password = get_password
    monkeypatch.setitem(sys.modules, "keyring", ring)
    monkeypatch.setitem(sys.modules, "keyring.errors", errors)
    assert secrets.key_from_keyring("laptop") == KEY
    for name, match in [
        ("bad", "holds no key"),
        ("locked", "cannot be read"),
        ("none", "keyring set arrowmind"),
    ]:
        with pytest.raises(ConfigurationError, match=match):
            secrets.key_from_keyring(name)


def test_weights_are_opened_without_cryptography():
    program = """
import sys
import arrowmind, arrowmind.weights, arrowmind.engine, arrowmind.weights.encryption.header
print(sorted({"cryptography", "keyring"} & set(sys.modules)))
"""
    path = str(Path(__file__).parents[3] / "python")
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.stdout == b"[]\n"
