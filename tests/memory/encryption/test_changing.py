"""Encrypting, decrypting and another key: all or nothing, and nothing of the old form stays."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import threading

import pytest

pytest.importorskip("sqlcipher3")

from tests.conftest import ROOT
from tests.memory.encryption.samples import (
    CHANGE_STEPS,
    OTHER,
    PASSWORDS,
    SECRET,
    contents,
    fill,
    found,
    opened,
    secrets_of,
)

from arrowmind.errors import ConfigurationError, IntegrityError, MemoryStoreError, StorageError
from arrowmind.memory.encryption import decrypt_store, encrypt_store, rotate_store
from arrowmind.memory.keeping import encrypting
from arrowmind.memory.opening import open_catalogue
from arrowmind.memory.storage.encryption import holds_another, is_changing, lacks_key
from arrowmind.memory.storage.paths import StorePaths
from arrowmind.memory.unlocking import unlock
from arrowmind.weights.encryption.header import PASSPHRASE
from arrowmind.weights.encryption.secret import Secret


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "store"


@pytest.fixture
def filled(folder):
    with opened(folder, key=None) as store:
        fill(store)
    with opened(folder, key=None) as store:
        return contents(store), secrets_of(store)


def test_there_and_back(folder, filled):
    told, needles = filled
    report = encrypt_store(folder, SECRET)
    assert report.encrypted
    assert report.bytes > 0
    assert found(folder, needles) == []
    with opened(folder) as store:
        assert store.verify().ok
        assert contents(store) == told
    report = rotate_store(folder, SECRET, PASSWORDS)
    assert report.files == 1
    with pytest.raises(IntegrityError):
        decrypt_store(folder, Secret(PASSPHRASE, b"another horse"))
    rotate_store(folder, PASSWORDS, OTHER)
    before = {path.name for path in (folder / "segments").iterdir()}
    rotate_store(folder, OTHER, SECRET, anew=True)
    assert not before & {path.name for path in (folder / "segments").iterdir()}
    assert found(folder, needles) == []
    with opened(folder) as store:
        assert contents(store) == told
    assert not decrypt_store(folder, SECRET).encrypted
    assert not list(folder.rglob("*encr*"))
    with opened(folder, key=None) as store:
        assert store.verify().ok
        assert contents(store) == told


def test_what_is_in_the_making_comes_along(folder, filled):
    """The journal of consolidation holds texts until they are visible."""
    from arrowmind.consolidate import Journal

    paths, payload = StorePaths(folder), '{"derived": "the harpsichordist is in the making"}'
    with Journal(paths.journal) as journal:
        journal.begin_run("r", "m")
        journal.plan("r", [("k", [1, 2])])
        journal.advance("k", "r", "generated", payload)
    encrypt_store(folder, SECRET)
    assert found(folder, [b"harpsichordist is in the making"]) == []
    assert not paths.journal.exists()
    with opened(folder) as store, Journal(store.paths.journal, store.paths.database_key) as journal:
        assert journal.find("k").payload == payload
        # Forgetting takes it out of there, too.
        store.forget(2)
        assert journal.find("k") is None
    decrypt_store(folder, SECRET)
    with Journal(paths.journal) as journal:
        assert [run.id for run in journal.runs()] == ["r"]


def test_receipts_stay_genuine(folder, filled):
    from arrowmind.privacy import load_store_key

    paths = StorePaths(folder)
    with opened(folder, key=None) as store:
        receipt = store.erase([2])
    encrypt_store(folder, SECRET)
    assert not (paths.privacy / "store.key").exists()
    with opened(folder) as store:
        assert receipt.signed_by(load_store_key(paths.privacy, store.paths.cipher))
    decrypt_store(folder, SECRET)
    assert receipt.signed_by(load_store_key(paths.privacy))


def test_nothing_is_done_twice_or_without_need(folder, filled):
    with pytest.raises(MemoryStoreError, match="is not encrypted"):
        decrypt_store(folder, SECRET)
    with pytest.raises(ConfigurationError, match="too short"):
        encrypt_store(folder, Secret(PASSPHRASE, b"short"))
    with opened(folder, key=None) as store:
        assert contents(store) == filled[0]
    encrypt_store(folder, SECRET)
    with pytest.raises(MemoryStoreError, match="is encrypted already"):
        encrypt_store(folder, SECRET)
    with pytest.raises(MemoryStoreError, match="holds no memory store"):
        encrypt_store(folder.parent / "none", SECRET)


HOLDER = """
import sys
from tests.memory.encryption.samples import opened
store = opened(sys.argv[1], key=None)
print("ready", flush=True)
sys.stdin.read()
"""


def started(program, *arguments):
    path = os.pathsep.join([str(ROOT), str(ROOT / "python"), *filter(None, sys.path)])
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_a_store_in_use_is_left_alone(folder, filled, monkeypatch):
    monkeypatch.setattr("arrowmind.memory.encryption._busy", lambda: 0.2)
    with opened(folder, key=None) as store:
        with pytest.raises(MemoryStoreError, match="has the store open"):
            encrypt_store(folder, SECRET)
        store.remember("still in use")
    process = started(HOLDER, folder)
    try:
        assert process.stdout.readline() == b"ready\n"
        with pytest.raises(MemoryStoreError, match="has the store open"):
            encrypt_store(folder, SECRET)
    finally:
        process.communicate()
    with opened(folder, key=None) as store:
        assert store.get(54).text == "still in use"
        assert store.verify().ok


def test_who_waits_for_the_old_files_is_told(folder, filled):
    """A process that opens the store while it is encrypted must not write to what is removed."""
    from arrowmind.memory import steps

    outcome = []

    def wait():
        process = started(
            "import sys\nfrom tests.memory.encryption.samples import opened\n"
            "opened(sys.argv[1], key=None).remember('lost')\n",
            folder,
        )
        outcome.append(process)

    def hook(step):
        if step == "encryption.file_written" and not outcome:
            wait()

    steps.set_hook(hook)
    try:
        encrypt_store(folder, SECRET)
    finally:
        steps.set_hook(None)
    _, errors = outcome[0].communicate(timeout=30)
    assert outcome[0].returncode != 0, errors
    with opened(folder) as store:
        assert contents(store) == filled[0]


CHANGE = """
import os, sys
from arrowmind.memory import steps
from arrowmind.memory.encryption import decrypt_store, encrypt_store, rotate_store
from tests.memory.encryption.samples import SECRET, OTHER
folder, work, step, left = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
def die(reached):
    global left
    if reached == "encryption." + step:
        left -= 1
        if left < 0:
            os.kill(os.getpid(), 9)
steps.set_hook(die)
if work == "encrypt":
    encrypt_store(folder, SECRET)
elif work == "decrypt":
    decrypt_store(folder, SECRET)
else:
    rotate_store(folder, SECRET, OTHER, anew=True)
"""


QUICK = {
    ("encrypt", "before_commit"),
    ("encrypt", "committed"),
    ("decrypt", "renamed"),
    ("rotate", "committed"),
}
KILLS = [
    pytest.param(work, step, marks=[] if (work, step) in QUICK else pytest.mark.slow)
    for work in ("encrypt", "decrypt", "rotate")
    for step in CHANGE_STEPS
]


@pytest.mark.parametrize(("work", "step"), KILLS)
def test_a_kill_leaves_the_old_or_the_new(folder, filled, work, step):
    told, needles = filled
    if work != "encrypt":
        encrypt_store(folder, SECRET)
    process = started(CHANGE, folder, work, step, 3 if step == "file_written" else 0)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == -9, errors
    assert is_changing(StorePaths(folder)) or step == CHANGE_STEPS[-1]
    is_done = step not in CHANGE_STEPS[:2]
    before, after = {"encrypt": (None, SECRET), "decrypt": (SECRET, None), "rotate": (SECRET, OTHER)}[work]
    key = after if is_done else before
    with opened(folder, key) as store:
        assert store.verify().ok
        assert contents(store) == told
    assert not is_changing(StorePaths(folder))
    if key is None:
        assert not list(folder.rglob("*encr*"))
    else:
        assert found(folder, needles) == []
    # What was cut off can be done again.
    if not is_done:
        process = started(CHANGE, folder, work, "never", 0)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
        with opened(folder, after) as store:
            assert contents(store) == told


def test_a_damaged_store_stays_as_it_is(folder, filled):
    path = sorted((folder / "blobs").iterdir())[0]
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + b"?")
    with pytest.raises(MemoryStoreError, match="is damaged"):
        encrypt_store(folder, SECRET)
    path.write_bytes(whole)
    assert not list(folder.rglob("*encr*"))
    with opened(folder, key=None) as store:
        assert contents(store) == filled[0]


def test_no_room_for_both(folder, filled, monkeypatch):
    copied = []

    def full(source, target, size):
        copied.append(source)
        if len(copied) == 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        copyfileobj(source, target, size)

    copyfileobj = shutil.copyfileobj
    monkeypatch.setattr(encrypting.shutil, "copyfileobj", full)
    with pytest.raises(MemoryStoreError, match="cannot be copied"):
        encrypt_store(folder, SECRET)
    assert not list(folder.rglob("*encr*"))
    with opened(folder, key=None) as store:
        assert store.verify().ok
        assert contents(store) == filled[0]


def test_an_error_in_the_very_step_loses_nothing(folder, filled, monkeypatch):
    """The key is in its place, and that it is there for good cannot be told."""

    def fail(_):
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr("arrowmind.privacy.journal.sync_folder", fail)
        with pytest.raises(StorageError):
            encrypt_store(folder, SECRET)
    assert (folder / "encryption.key").exists()
    with opened(folder) as store:
        assert store.verify().ok
        assert contents(store) == filled[0]
    assert found(folder, filled[1]) == []


def test_without_its_catalogue_nothing_is_removed(folder, filled, tmp_path):
    with opened(tmp_path / "other") as other:
        other.remember("something")
    shutil.copyfile(tmp_path / "other" / "encryption.key", folder / "encryption.key")
    (folder / "encryption.key").chmod(0o600)
    with pytest.raises(MemoryStoreError, match="is gone, and another catalogue is there"):
        opened(folder)
    (folder / "encryption.key").unlink()
    with opened(folder, key=None) as store:
        assert contents(store) == filled[0]


@pytest.mark.parametrize("before", [None, SECRET])
def test_no_new_store_is_made_where_one_was_changed(folder, filled, before):
    """Between the look for the key and that for the catalogue another process may have changed both."""
    if before is None:
        seen = StorePaths(folder)
        encrypt_store(folder, SECRET)
    else:
        encrypt_store(folder, SECRET)
        seen = unlock(folder, SECRET, "", 0.5)
        decrypt_store(folder, SECRET)
    with pytest.raises(MemoryStoreError, match="was encrypted or decrypted meanwhile"):
        open_catalogue(seen, 0.5, create=True)
    assert not seen.catalogue.exists()
    with opened(folder, SECRET if before is None else None) as store:
        assert contents(store) == filled[0]


@pytest.mark.parametrize(("key", "mistaken_for"), [(None, holds_another), (SECRET, lacks_key)])
def test_a_store_that_another_process_makes_just_then(folder, monkeypatch, key, mistaken_for):
    """It is there with the second look, and was not with the first: neither changed nor without its key."""
    listing = os.scandir

    def list_late(path):
        monkeypatch.setattr(os, "scandir", listing)
        with opened(folder, key) as other:
            other.remember("made meanwhile")
        return listing(path)

    monkeypatch.setattr(os, "scandir", list_late)
    assert not mistaken_for(StorePaths(folder))
    with opened(folder, key) as store:
        assert store.stats().records == 1


def test_two_at_once(folder, filled, monkeypatch):
    monkeypatch.setattr("arrowmind.memory.encryption._busy", lambda: 20.0)
    outcomes = []

    def change():
        try:
            outcomes.append(encrypt_store(folder, SECRET))
        except MemoryStoreError as error:
            outcomes.append(str(error))

    threads = [threading.Thread(target=change) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([one for one in outcomes if not isinstance(one, str)]) == 1, outcomes
    with opened(folder) as store:
        assert contents(store) == filled[0]
