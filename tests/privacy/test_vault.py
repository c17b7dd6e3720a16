"""Pseudonyms: stable, reversible with the key, noise without it."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arrowmind.errors import IntegrityError, WeightError
from arrowmind.privacy import Redactor, Vault
from arrowmind.privacy.redactor import reveal
from arrowmind.weights.encryption.header import KEY, PASSPHRASE
from arrowmind.weights.encryption.secret import Secret

SECRET = Secret(KEY, bytes(range(32)))
TEXT = "anna@example.com wrote to bob@example.com, then anna@example.com to 4111111111111111"


@pytest.fixture
def vault(tmp_path):
    return Vault(tmp_path / "vault", SECRET)


@pytest.fixture
def redactor(vault):
    return Redactor(mode="pseudonym", vault=vault)


def test_the_same_value_has_the_same_pseudonym(redactor):
    assert redactor.redact(TEXT).text == "<EMAIL_1> wrote to <EMAIL_2>, then <EMAIL_1> to <CARD_1>"
    assert redactor.redact("carl@example.com and bob@example.com").text == "<EMAIL_3> and <EMAIL_2>"
    assert redactor.redact("bob@example.com", "other").text == "<EMAIL_1>"


def test_pseudonyms_stay_what_they_are(redactor):
    once = redactor.redact(TEXT).text
    assert redactor.redact(once).text == once
    assert redactor.reveal("<EMAIL_1> <EMAIL_77> <NAME_1>") == "anna@example.com <EMAIL_77> <NAME_1>"


@settings(max_examples=30)
@given(text=st.text(st.characters(exclude_characters="<"), max_size=40))
def test_what_is_revealed_is_the_original(tmp_path_factory, text):
    vault = Vault(tmp_path_factory.mktemp("vault"), SECRET)
    redactor = Redactor(mode="pseudonym", vault=vault)
    whole = f"{text} anna@example.com {text} 4111 1111 1111 1111"
    redacted = redactor.redact(whole, text).text
    assert "anna" not in redacted.replace(text, "")
    assert redactor.reveal(redacted, text) == whole


def test_another_process_knows_them(tmp_path, redactor):
    redactor.redact(TEXT, "work")
    assert reveal("<EMAIL_2>", Vault(tmp_path / "vault", SECRET), "work") == "bob@example.com"


def test_with_a_passphrase(tmp_path):
    secret = Secret(PASSPHRASE, b"correct horse")
    Redactor(mode="pseudonym", vault=Vault(tmp_path / "v", secret, cost_log2=14)).redact(TEXT)
    assert reveal("<CARD_1>", Vault(tmp_path / "v", secret)) == "4111111111111111"
    with pytest.raises(IntegrityError, match="passphrase is not the one"):
        Vault(tmp_path / "v", Secret(PASSPHRASE, b"wrong horse"))
    with pytest.raises(WeightError, match="with a passphrase"):
        Vault(tmp_path / "v", SECRET)


def test_nothing_is_readable_without_the_key(tmp_path, redactor):
    redactor.redact(TEXT, "holidays")
    data = b"".join(path.read_bytes() + path.name.encode() for path in (tmp_path / "vault").iterdir())
    assert not any(word in data for word in (b"anna", b"example", b"4111", b"holidays", b"email"))
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "vault").iterdir())
    with pytest.raises(IntegrityError, match="the key is not the one"):
        Vault(tmp_path / "vault", Secret(KEY, bytes(32)))


def test_a_namespace_is_forgotten_alone(tmp_path, vault, redactor):
    redactor.redact(TEXT, "a")
    redactor.redact(TEXT, "b")
    other = Vault(tmp_path / "vault", SECRET)
    assert other.value("a", "email", 1) == "anna@example.com"
    assert vault.forget("a")
    assert not vault.forget("a")
    for one in (vault, other):
        assert one.value("a", "email", 1) is None
        assert one.value("b", "email", 1) == "anna@example.com"
    assert redactor.redact("bob@example.com", "a").text == "<EMAIL_1>"
    assert other.value("a", "email", 1) == "bob@example.com"


def test_without_its_key_a_copy_of_the_values_is_noise(tmp_path, vault, redactor):
    redactor.redact(TEXT, "a")
    (kept,) = (tmp_path / "vault").glob("*.values")
    data = kept.read_bytes()
    vault.forget("a")
    redactor.redact(TEXT, "a")
    kept.write_bytes(data)
    with pytest.raises(IntegrityError, match="damaged"):
        Vault(tmp_path / "vault", SECRET).value("a", "email", 1)


def test_a_destroyed_vault_is_gone(tmp_path, vault, redactor):
    redactor.redact(TEXT)
    other = Vault(tmp_path / "vault", SECRET)
    vault.destroy()
    assert [path.name for path in (tmp_path / "vault").iterdir()] == ["vault.lock"]
    for one in (vault, other):
        with pytest.raises(IntegrityError, match="destroyed"):
            one.numbers("", [("email", "new@example.com")])


def test_a_lost_key_is_not_replaced(tmp_path, redactor):
    redactor.redact(TEXT)
    (tmp_path / "vault" / "vault.key").unlink()
    with pytest.raises(IntegrityError, match=r"vault\.key is gone"):
        Vault(tmp_path / "vault", SECRET)


def test_what_a_killed_writer_left_is_cut_off(tmp_path, vault):
    vault.numbers("", [("email", "a@b.de")])
    (path,) = (tmp_path / "vault").glob("*.values")
    whole = path.read_bytes()
    vault.numbers("", [("email", "c@d.de")])
    longer = path.read_bytes()
    torn = [longer[:size] for size in range(len(whole), len(longer))]
    torn += [whole + bytes(40), longer[:-16] + bytes(16)]
    for data in torn:
        path.write_bytes(data)
        fresh = Vault(tmp_path / "vault", SECRET)
        assert fresh.value("", "email", 1) == "a@b.de"
        assert fresh.value("", "email", 2) is None
        assert fresh.numbers("", [("email", "e@f.de"), ("email", "a@b.de")]) == [2, 1]
        assert Vault(tmp_path / "vault", SECRET).value("", "email", 2) == "e@f.de"


def test_every_flipped_bit_is_noticed(tmp_path, vault):
    vault.numbers("", [("email", "a@b.de")])
    vault.numbers("", [("email", "c@d.de")])
    for path in (tmp_path / "vault").iterdir():
        data = path.read_bytes()
        for place in range(len(data)):
            path.write_bytes(data[:place] + bytes([data[place] ^ (1 << place % 8)]) + data[place + 1 :])
            with pytest.raises((IntegrityError, WeightError)):
                Vault(tmp_path / "vault", SECRET).value("", "email", 1)
        path.write_bytes(data)
    assert Vault(tmp_path / "vault", SECRET).value("", "email", 2) == "c@d.de"


def work(folder, worker):
    redactor = Redactor(mode="pseudonym", vault=Vault(folder, SECRET))
    return [redactor.redact(f"u{n}@example.com w{worker}x{n}@example.com").text for n in range(8)]


def test_several_processes_and_threads_give_no_number_twice(tmp_path, vault):
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        processes = [pool.apply_async(work, (tmp_path / "vault", worker)) for worker in range(3)]
        with ThreadPoolExecutor(2) as threads:
            found = list(threads.map(lambda worker: work(tmp_path / "vault", worker), range(3, 6)))
        found += [process.get(60) for process in processes]
    texts = [reveal(text, vault) for one in found for text in one]
    expected = {f"u{n}@example.com w{worker}x{n}@example.com" for worker in range(6) for n in range(8)}
    assert set(texts) == expected


def test_a_fork_does_not_hold_the_lock(tmp_path, vault):
    vault.numbers("", [("email", "a@b.de")])
    pid = os.fork()
    if pid == 0:
        os._exit(0 if vault.numbers("", [("email", "c@d.de")]) == [2] else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert vault.numbers("", [("email", "c@d.de")]) == [2]
