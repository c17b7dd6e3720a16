"""encrypt and decrypt: where the secret comes from, and that it goes nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from arrowmind.cli import secrets

HEX = "0f" * 32


@pytest.fixture
def plain():
    Path("m").mkdir()
    Path("m/config.json").write_text("{}")
    Path("m/weights.arrow").write_bytes(bytes(range(256)) * 20)
    return Path("m")


@pytest.fixture
def key_file():
    path = Path("key")
    path.write_text(HEX)
    path.chmod(0o600)
    return str(path)


@pytest.fixture
def typed(monkeypatch):
    """What somebody types when asked; gives the questions."""
    answers, asked = [], []

    def getpass(prompt):
        asked.append(prompt)
        return answers.pop(0)

    monkeypatch.setattr(secrets, "_is_watched", lambda: True)
    monkeypatch.setattr(secrets.getpass, "getpass", getpass)
    return answers, asked


def test_a_folder_and_back(call, plain, key_file):
    outcome = call("encrypt", "m", "vault", "--key-file", key_file, "--json")
    assert (outcome.code, outcome.json["files"], outcome.json["bytes"]) == (0, 2, 5122)
    assert "2 files decrypted (5.1 kB)" in call("decrypt", "vault", "back", "--key-file", key_file).stdout
    assert Path("back/weights.arrow").read_bytes() == Path("m/weights.arrow").read_bytes()
    again = call("decrypt", "vault", "back", "--key-file", key_file)
    assert (again.code, "back exists" in again.stderr) == (1, True)
    assert call("decrypt", "vault", "back", "--key-file", key_file, "--force").code == 0


def test_the_key_in_the_environment(call, plain, monkeypatch):
    monkeypatch.setenv("ARROWMIND_KEY", HEX)
    assert call("encrypt", "m/weights.arrow", "w.enc", "--strict").code == 0
    outcome = call("decrypt", "w.enc", "w", "-vv")
    assert (outcome.code, HEX in outcome.stdout + outcome.stderr) == (0, False)
    assert Path("w").read_bytes() == Path("m/weights.arrow").read_bytes()
    monkeypatch.setenv("ARROWMIND_KEY", "1f" * 32)
    outcome = call("decrypt", "w.enc", "x")
    assert (outcome.code, "the key is not the one" in outcome.stderr) == (1, True)
    assert not Path("x").exists()


def test_a_passphrase_is_asked_for(call, plain, typed, monkeypatch):
    answers, asked = typed
    answers += ["correct horse", "correct horse"]
    assert call("encrypt", "m", "vault").code == 0
    assert len(asked) == 2
    monkeypatch.setenv("ARROWMIND_KEY", HEX)  # of no use for what a passphrase opens
    answers += ["correct horse", "wrong horse"]
    assert call("decrypt", "vault", "back").code == 0
    assert len(asked) == 3
    outcome = call("decrypt", "vault", "again")
    assert (outcome.code, "the passphrase is not the one" in outcome.stderr) == (1, True)
    assert "horse" not in outcome.stdout + outcome.stderr


def test_passphrases_that_are_refused(call, plain, typed):
    answers, _ = typed
    for given in (["correct horse", "correct house"], ["short", "short"], ["", ""]):
        answers[:] = given
        outcome = call("encrypt", "m", "vault")
        assert outcome.code == 1
        assert not any(text and text in outcome.stderr for text in given if text != "short")
    assert not Path("vault").exists()


def test_a_passphrase_file(call, plain):
    Path("p").write_text("correct horse\n")
    assert "chmod 600" in call("encrypt", "m", "vault", "--passphrase-file", "p").stderr
    Path("p").chmod(0o600)
    assert call("encrypt", "m", "vault", "--passphrase-file", "p").code == 0
    assert call("decrypt", "vault", "back", "--passphrase-file", "p").code == 0


def test_nobody_to_ask(call, plain, key_file):
    outcome = call("encrypt", "m", "vault")
    assert (outcome.code, "nobody to ask" in outcome.stderr) == (1, True)
    call("encrypt", "m", "vault", "--key-file", key_file)
    assert "encrypted with a key" in call("decrypt", "vault", "back").stderr
    both = call("encrypt", "m", "other", "--key-file", key_file, "--keyring", "laptop")
    assert (both.code, "give one of" in both.stderr) == (1, True)


def test_what_is_encrypted_says_so(call, plain, key_file):
    call("encrypt", "m", "vault", "--key-file", key_file)
    assert "encrypted with a key" in call("verify", "vault").stderr
    assert "is not encrypted" in call("decrypt", "m", "back", "--key-file", key_file).stderr


def test_there_is_no_option_for_the_secret_itself(call):
    for command in ("encrypt", "decrypt"):
        assert call(command, "m", "out", "--passphrase", "correct horse").code == 2


def test_verify_authenticates_what_is_encrypted(call, plain, key_file):
    call("encrypt", "m", "vault", "--key-file", key_file)
    outcome = call("verify", "vault", "--key-file", key_file)
    assert (outcome.code, "undamaged (2 files" in outcome.stdout) == (0, True)
    path = Path("vault/weights.arrow.enc")
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    outcome = call("verify", "vault", "--key-file", key_file, "--json")
    assert (outcome.code, outcome.json["ok"]) == (1, False)
    assert "weights.arrow.enc" in outcome.json["problems"][0]


def test_another_key(call, plain, key_file):
    new = Path("new")
    new.write_text("1e" * 32)
    new.chmod(0o600)
    call("encrypt", "m", "vault", "--key-file", key_file)
    assert call("encrypt", "vault", "vault2", "--old-key-file", key_file, "--key-file", "new").code == 0
    assert "the key is not the one" in call("decrypt", "vault2", "back", "--key-file", key_file).stderr
    assert call("decrypt", "vault2", "back", "--key-file", "new").code == 0
    assert Path("back/weights.arrow").read_bytes() == Path("m/weights.arrow").read_bytes()
    wrong = call("encrypt", "vault", "vault3", "--old-key-file", "new", "--key-file", "new")
    assert (wrong.code, "the key is not the one" in wrong.stderr) == (1, True)
