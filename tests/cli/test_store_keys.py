"""memory encrypt and memory decrypt: a store is used from the command line with its key, and not without."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("sqlcipher3")

pytestmark = pytest.mark.usefixtures("words")


def key_file(name, digit):
    path = Path(name)
    path.write_text(digit * 64)
    path.chmod(0o600)
    return str(path)


@pytest.fixture
def keys(monkeypatch):
    monkeypatch.delenv("ARROWMIND_KEY", raising=False)
    return key_file("one", "1"), key_file("two", "2")


def test_there_and_back(call, keys, monkeypatch):
    one, two = keys
    call("remember", "the marzipan is under the blue pot", "--store", "notes")
    outcome = call("memory", "encrypt", "--store", "notes", "--key-file", one, "--json")
    assert outcome.json["encrypted"]
    assert not any(b"marzipan" in path.read_bytes() for path in Path("notes").rglob("*") if path.is_file())
    refused = call("recall", "marzipan", "--store", "notes")
    assert refused.code == 1
    assert "needs its key" in refused.stderr
    monkeypatch.setenv("ARROWMIND_KEY", "1" * 64)
    assert call("recall", "marzipan", "--store", "notes", "--json").json["hits"][0]["id"] == 1
    assert "encrypted already" in call("memory", "encrypt", "--store", "notes").stderr
    for more in ((), ("--anew",)):
        done = call("memory", "encrypt", "--store", "notes", "--old-key-file", one, "--key-file", two, *more)
        assert done.code == 0, done.stderr
        one, two = two, one
    assert call("memory", "verify", "--store", "notes").code == 0
    receipt = call("forget", "1", "--receipt", "proof.json", "--store", "notes")
    assert receipt.code == 0, receipt.stderr
    Path("gone").write_text("the marzipan is under the blue pot")
    checked = call("memory", "receipt", "proof.json", "--text", "gone", "--store", "notes")
    assert "the receipt holds" in checked.stdout
    assert call("memory", "decrypt", "--store", "notes", "--key-file", "two").code == 1
    assert call("memory", "decrypt", "--store", "notes", "--key-file", "one").code == 0
    monkeypatch.delenv("ARROWMIND_KEY")
    assert call("memory", "verify", "--store", "notes").code == 0
    assert "is not encrypted" in call("memory", "decrypt", "--store", "notes", "--key-file", "one").stderr


def test_the_setting(call, keys):
    setting = ("--set", f"privacy.store_key=file:{keys[0]}")
    call("remember", "the marzipan", "--store", "notes", *setting)
    assert Path("notes/encryption.key").exists()
    assert call("recall", "marzipan", "--store", "notes", "--json", *setting).json["hits"]
    assert call("memory", "stats", "--store", "notes").code == 1


def test_without_a_store(call, keys):
    assert "holds no store" in call("memory", "encrypt", "--store", "none", "--key-file", keys[0]).stderr
