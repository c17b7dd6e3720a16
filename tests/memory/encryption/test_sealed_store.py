"""An encrypted store does what another does, and no file of it says what it holds."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

pytest.importorskip("sqlcipher3")

from tests.conftest import ROOT
from tests.memory.encryption.samples import (
    OTHER,
    PASSWORDS,
    SECRET,
    contents,
    fill,
    found,
    opened,
    secrets_of,
)
from tests.memory.fake_encoder import FakeEncoder

from arrowmind.config import load_config
from arrowmind.errors import ConfigurationError, IntegrityError, MemoryStoreError, WeightError
from arrowmind.memory import MemoryStore
from arrowmind.memory.storage.paths import StorePaths
from arrowmind.privacy.sealed.cipher import StoreCipher
from arrowmind.privacy.sealed.key_file import read_key


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "store"


def cipher_of(folder):
    return StoreCipher(read_key(folder / "encryption.key", SECRET))


def test_no_file_says_what_it_holds(folder, tmp_path):
    with opened(tmp_path / "plain", key=None) as plain:
        fill(plain)
    with opened(folder) as store:
        fill(store)
        needles = secrets_of(store)
        assert found(folder, needles) == [], "while it is open"
    assert found(folder, needles) == [], "at rest"
    # The same bytes stand in the files of one that is not encrypted, and in what the key opens.
    assert {needle for _, needle in found(tmp_path / "plain", needles)} == set(needles)
    assert {needle for _, needle in found(folder, needles, cipher_of(folder))} == set(needles)


def test_it_answers_as_one_that_is_not_encrypted(folder, tmp_path):
    with opened(tmp_path / "plain", key=None) as plain, opened(folder) as store:
        for one in (plain, store):
            fill(one)
            one.forget([3, 45])
            one.compact()
        ours, theirs = contents_without_time(store), contents_without_time(plain)
        assert ours == theirs
        assert store.verify().ok
        assert store.stats().bytes["index"] == 0
    with opened(folder) as again:
        assert contents_without_time(again) == theirs


def contents_without_time(store):
    told = [store.get(id_) for id_ in range(1, 54)]
    hits = [(h.id, round(h.score, 6)) for h in store.recall("vestibule harpsichordist seen", top_k=60)]
    return [(r.text, r.metadata, r.category, r.namespace) for r in told if r], hits


WRITER = """
import sys
from tests.memory.encryption.samples import fill, opened
store = opened(sys.argv[1])
fill(store)
for n in range(5):
    store.remember(f"vestibule pending number {n}")
print("ready", flush=True)
sys.stdin.read()
"""


def writer(folder):
    path = os.pathsep.join([str(ROOT), str(ROOT / "python"), *filter(None, sys.path)])
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder)],
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


def test_no_file_says_it_while_another_writes_nor_after_a_kill(folder):
    process = writer(folder)
    try:
        with opened(folder) as reader:
            needles = secrets_of(reader)
            assert len(reader.recall("vestibule pending", top_k=20)) == 20
            reader.remember("said by the reader")
            assert found(folder, needles) == []
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert found(folder, needles) == []
    with opened(folder) as store:
        assert store.verify().ok
        assert store.get(58).text == "vestibule pending number 4"
        assert store.get(59).text == "said by the reader"
    assert found(folder, needles) == []


def test_erasing_looks_into_the_files(folder):
    with opened(folder) as store:
        fill(store)
        text = store.get(7).text.encode()
        assert found(folder, [text], cipher_of(folder)) != []
        receipt = store.erase([7])
        assert receipt.ids == (7,)
        assert found(folder, [text], cipher_of(folder)) == []
        pending = store.get(53).text.encode()
        assert found(folder, [pending], cipher_of(folder)) != []
        store.erase([53])
        assert found(folder, [pending], cipher_of(folder)) == []


def test_other_keys_and_none_are_refused(folder, monkeypatch):
    with opened(folder) as store:
        store.remember("something")
    with pytest.raises(IntegrityError, match="the key is not the one"):
        opened(folder, OTHER)
    with pytest.raises(WeightError, match="was encrypted with a key, not a passphrase"):
        opened(folder, PASSWORDS)
    monkeypatch.delenv("ARROWMIND_KEY", raising=False)
    with pytest.raises(ConfigurationError, match=r"is encrypted and needs its key: set ARROWMIND_KEY"):
        opened(folder, None)
    monkeypatch.setenv("ARROWMIND_KEY", SECRET.value.hex())
    with opened(folder, None) as store:
        assert store.get(1).text == "something"


def test_a_key_in_the_environment_alone_encrypts_nothing(folder, monkeypatch):
    monkeypatch.setenv("ARROWMIND_KEY", SECRET.value.hex())
    with opened(folder, None) as store:
        store.remember("something")
    assert not (folder / "encryption.key").exists()
    with pytest.raises(MemoryStoreError, match="is not encrypted, and a key was given"):
        opened(folder)


def test_the_setting_encrypts_new_stores(folder, tmp_path):
    file = tmp_path / "key"
    file.write_text(SECRET.value.hex())
    file.chmod(0o600)
    config = load_config(overrides={"privacy.store_key": f"file:{file}"})
    with MemoryStore(folder, FakeEncoder(), config=config) as store:
        store.remember("an unforgettable marzipan")
    assert found(folder, [b"unforgettable marzipan"]) == []
    with MemoryStore(folder, FakeEncoder(), config=config) as store:
        assert store.recall("marzipan")[0].id == 1


def test_a_store_whose_key_is_gone_is_not_taken_for_none(folder):
    with opened(folder) as store:
        fill(store)
    (folder / "encryption.key").rename(folder.parent / "key")
    for key in (None, SECRET):
        with pytest.raises(MemoryStoreError, match=r"encryption\.key: is gone, and the store is encrypted"):
            opened(folder, key)
    (folder.parent / "key").rename(folder / "encryption.key")
    with opened(folder) as store:
        assert store.verify().ok
        assert len(contents(store)[1]) == 53


def test_a_backup_is_encrypted_and_opens_with_the_same_secret(folder, tmp_path):
    with opened(folder) as store:
        fill(store)
        needles, told = secrets_of(store), contents(store)
        store.backup(tmp_path / "copy")
    assert found(tmp_path / "copy", needles) == []
    assert (tmp_path / "copy" / "encryption.key").stat().st_mode & 0o077 == 0
    with opened(tmp_path / "copy") as copy:
        assert copy.verify().ok
        assert contents(copy) == told


def test_blobs_are_not_named_by_their_hash(folder):
    with opened(folder) as store:
        fill(store)
        names = {part.sha256 for id_ in range(41, 53) for part in store.get(id_).attachments}
    paths = StorePaths(folder, cipher_of(folder))
    present = {path.name for path in (folder / "blobs").iterdir()}
    assert len(present) == 24
    assert not present & names
    assert present == {paths.blob(name).name for name in names}
