"""The access log: every entry once, in a chain that shows what was done to it; nothing of a text in it."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time

import pytest

from arrowmind.errors import ConfigurationError, InvalidArgumentError, MemoryStoreError, StorageError
from arrowmind.privacy import Access, AccessLog, Head, LogSettings, load_store_key, read_log, verify_log
from arrowmind.privacy.access import files

PATIENT = LogSettings(seconds=3600)


@pytest.fixture
def key(tmp_path):
    return load_store_key(tmp_path / "key")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "access"


@pytest.fixture
def fill(folder, key):
    """Writes entries and gives the head."""

    def write(count=10, settings=PATIENT):
        with AccessLog(folder, key, settings) as log:
            for number in range(count):
                log.record(Access("recall", caller="anna", ids=[number]))
            return log.head()

    return write


def lines(folder):
    return b"".join(path.read_bytes() for path in files.log_files(folder)).splitlines(keepends=True)


def test_an_entry(folder, key):
    with AccessLog(folder, key) as log:
        access = Access("recall", "anna", "answer a letter", "work", ids=(3, 4), details={"top_k": 5})
        log.record(access, query="my secret question")
        log.record(Access("forget", ids=range(1000), allowed=False))
    _, entry, refused = read_log(folder)
    assert entry["action"] == "recall"
    assert (entry["caller"], entry["purpose"], entry["namespace"]) == ("anna", "answer a letter", "work")
    assert (entry["ids"], entry["count"], entry["details"]) == ([3, 4], 2, {"top_k": 5})
    assert entry["query"] == log.query_hash("my secret question")
    assert entry["time"].endswith("+00:00")
    assert (refused["count"], refused["allowed"], "ids" in refused) == (1000, False, False)
    assert b"secret" not in b"".join(lines(folder))
    assert all(path.stat().st_mode & 0o077 == 0 for path in [folder, *folder.iterdir()])


def test_hashes_of_queries_depend_on_the_key(tmp_path, folder, key):
    one, other = AccessLog(folder, key), AccessLog(folder, load_store_key(tmp_path / "other"))
    assert one.query_hash("a") == one.query_hash("a") != other.query_hash("a")


def test_a_whole_log_is_well(folder, fill):
    head = fill()
    report = verify_log(folder, [head, Head(3, lines(folder)[2][:64].decode())])
    assert report.ok
    assert (report.entries, report.files, report.first, report.head) == (11, 1, 1, head)


@pytest.mark.parametrize("place", [0, 4, 9])
def test_every_change_is_noticed(folder, fill, place):
    fill()
    (path,) = files.log_files(folder)
    whole = path.read_bytes()
    parts = whole.splitlines(keepends=True)
    swapped = [*parts[:place], parts[place + 1], parts[place], *parts[place + 2 :]]
    changes = {
        "changed": [*parts[:place], parts[place].replace(b"a", b"b", 1), *parts[place + 1 :]],
        "left out": [*parts[:place], *parts[place + 1 :]],
        "repeated": [*parts[:place], parts[place], *parts[place:]],
        "swapped": swapped,
        "added": [*parts[:place], parts[place][:64] + b' {"n":1}\n', *parts[place:]],
        "an empty line": [*parts[:place], b"\n", *parts[place:]],
    }
    for name, changed in changes.items():
        path.write_bytes(b"".join(changed))
        assert not verify_log(folder).ok, name


def test_every_flipped_bit_is_noticed(folder, fill):
    fill(2)
    (path,) = files.log_files(folder)
    whole = path.read_bytes()
    for place in range(len(whole)):
        data = bytearray(whole)
        data[place] ^= 1 << place % 8
        path.write_bytes(data)
        report = verify_log(folder)
        assert not report.ok or report.torn_bytes


def test_a_cut_end_is_noticed_by_who_kept_the_head(folder, fill):
    head = fill()
    (path,) = files.log_files(folder)
    path.write_bytes(b"".join(lines(folder)[:-2]))
    assert verify_log(folder).ok
    assert "its end was cut off" in verify_log(folder, [head]).problems[0]


def test_a_log_written_anew_is_noticed_by_who_kept_the_head(folder, fill):
    head = fill()
    for path in files.log_files(folder):
        path.unlink()
    fill(20)
    assert verify_log(folder).ok
    assert "as it was kept elsewhere" in verify_log(folder, [head]).problems[0]


def test_files_follow_each_other(folder, fill):
    settings = dataclasses.replace(PATIENT, max_bytes=4096)
    fill(100, settings)
    head = fill(100, settings)
    report = verify_log(folder, [head])
    assert report.ok
    assert report.files > 5
    assert report.entries == 200 + report.files
    assert all(path.stat().st_size < 4096 + 300 for path in files.log_files(folder))
    files.log_files(folder)[2].unlink()
    assert "files are missing" in verify_log(folder).problems[0]


def test_old_files_go_and_the_log_says_so(folder, fill):
    settings = dataclasses.replace(PATIENT, max_bytes=4096, keep_files=3)
    for _ in range(3):
        head = fill(60, settings)
    report = verify_log(folder, [head])
    assert report.ok
    assert report.files == 3
    assert report.first > 1
    assert "access-00000001.log" not in {path.name for path in folder.iterdir()}
    assert any(entry["action"] == "log.expire" for entry in read_log(folder))


def torn_ends(whole, before):
    """What a power cut can leave of the last batch: a part of it, or pages that were never written."""
    yield from (whole[:size] for size in range(before + 1, len(whole), 7))
    yield whole[:before] + bytes(len(whole) - before)
    for start in range(before, len(whole) - 40, 50):
        yield whole[:start] + bytes(40) + whole[start + 40 :]


def test_an_unfinished_end_is_removed_and_noted(folder, key, fill):
    fill(4)
    (path,) = files.log_files(folder)
    before = path.stat().st_size
    fill(4)
    whole = path.read_bytes()
    for torn in torn_ends(whole, before):
        path.write_bytes(torn)
        with AccessLog(folder, key, PATIENT) as log:
            log.record(Access("remember"))
        report = verify_log(folder)
        assert report.ok, report.problems
        assert whole[:before] in path.read_bytes()
        assert [entry["action"] for entry in read_log(folder)].count("remember") == 1
        assert report.repairs == (not (whole.startswith(torn) and torn.endswith(b"\n")))


def test_a_change_on_purpose_is_not_repaired(folder, key, fill):
    fill()
    (path,) = files.log_files(folder)
    path.write_bytes(path.read_bytes().replace(b"anna", b"otto"))
    with AccessLog(folder, key, PATIENT) as log:
        log.record(Access("recall"))
    report = verify_log(folder)
    assert not report.ok
    assert report.repairs == 0
    assert report.entries == 12


def test_entries_wait_for_others_but_not_long(folder, key):
    log = AccessLog(folder, key, LogSettings(seconds=0.05))
    log.record(Access("recall"))
    deadline = time.monotonic() + 20
    while not files.log_files(folder) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert verify_log(folder).entries == 2
    log.close()


def test_what_must_be_on_disk_is(folder, key):
    patient, synced = AccessLog(folder, key, PATIENT), AccessLog(folder, key, LogSettings(sync=True))
    patient.record(Access("recall"))
    assert not files.log_files(folder)
    patient.record(Access("forget"), sync=True)
    synced.record(Access("recall"))
    assert verify_log(folder).entries == 4


def test_a_process_that_ends_loses_nothing(tmp_path, folder):
    program = (
        "import sys, pathlib; from arrowmind.privacy import *; log = AccessLog(sys.argv[1], "
        "load_store_key(pathlib.Path(sys.argv[2])), LogSettings(seconds=3600)); log.record(Access('recall'))"
    )
    subprocess.run([sys.executable, "-c", program, folder, tmp_path / "key"], check=True)
    assert verify_log(folder).entries == 2


def write_many(folder, key_folder, worker, count):
    with AccessLog(folder, load_store_key(key_folder), LogSettings(seconds=0.001)) as log:
        for number in range(count):
            log.record(Access("recall", caller=f"{worker}", ids=[number]), sync=number % 10 == 0)


def test_several_processes_write_one_chain(tmp_path, folder, key):
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        tasks = [pool.apply_async(write_many, (folder, tmp_path / "key", w, 50)) for w in range(4)]
        for task in tasks:
            task.get(60)
    assert verify_log(folder).ok
    entries = [entry for entry in read_log(folder) if entry["action"] == "recall"]
    for worker in range(4):
        assert [e["ids"][0] for e in entries if e["caller"] == f"{worker}"] == list(range(50))


def test_a_forked_child_writes_its_own_entries_only(folder, key):
    with AccessLog(folder, key, PATIENT) as log:
        log.record(Access("recall", caller="parent"))
        pid = os.fork()
        if pid == 0:
            log.record(Access("recall", caller="child"))
            log.close()
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
    callers = sorted(entry.get("caller", "") for entry in read_log(folder))
    assert callers == ["", "child", "parent"]
    assert verify_log(folder).ok


KILLED = """
import sys, pathlib
from arrowmind.privacy import *
log = AccessLog(sys.argv[1], load_store_key(pathlib.Path(sys.argv[2])), LogSettings(seconds=0.001))
for number in range(10**9):
    log.record(Access("recall", ids=[number]))
    if number % 50 == 49:
        log.flush()
        print(number, flush=True)
"""


def test_a_kill_loses_nothing_that_was_flushed(tmp_path, folder, key, rng):
    for _ in range(4):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, folder, tmp_path / "key"], stdout=subprocess.PIPE
        )
        acknowledged = process.stdout.readline()
        time.sleep(float(rng.uniform(0, 0.1)))
        process.send_signal(signal.SIGKILL)
        acknowledged = (acknowledged + process.communicate()[0]).split(b"\n")[-2]
        report = verify_log(folder)
        assert report.ok, report.problems
        last = [entry["ids"][0] for entry in read_log(folder) if "ids" in entry][-1]
        assert last >= int(acknowledged)


def test_a_full_disk_is_told_and_nothing_is_lost(folder, key, monkeypatch):
    log = AccessLog(folder, key, LogSettings(seconds=3600, max_waiting=5))
    real = os.write

    def full(descriptor, data):
        real(descriptor, bytes(data[:20]))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(StorageError, match="free some space"):
        log.record(Access("recall", ids=[0]), sync=True)
    for number in range(1, 5):
        log.record(Access("recall", ids=[number]))
    with pytest.raises(StorageError, match="5 entries of the access log could not be written"):
        log.record(Access("recall", ids=[5]))
    monkeypatch.undo()
    log.close()
    assert [entry["ids"][0] for entry in read_log(folder) if "ids" in entry] == [0, 1, 2, 3, 4]
    assert verify_log(folder).ok


def test_the_longest_entry_fits(folder, key):
    wide = "\U0001f600\ud800" * 1000
    access = Access(wide, wide, wide, wide, ids=[wide] * 100, details={wide[:n]: wide for n in range(1, 30)})
    with AccessLog(folder, key, PATIENT) as log:
        log.record(access, query=wide)
        log.record(Access("recall"))
    assert verify_log(folder).ok
    fresh = AccessLog(folder, key, PATIENT)
    assert fresh.head() == verify_log(folder).head


def test_the_key_is_private(tmp_path, key):
    path = tmp_path / "key" / "store.key"
    assert path.stat().st_mode & 0o077 == 0
    assert (
        load_store_key(tmp_path / "key").digest("a", b"b") == key.digest("a", b"b") != key.digest("b", b"b")
    )
    path.chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        load_store_key(tmp_path / "key")


def test_what_cannot_be_is_refused(tmp_path, key):
    with pytest.raises(InvalidArgumentError, match="max_bytes"):
        AccessLog(tmp_path / "a", key, LogSettings(max_bytes=1))
    with pytest.raises(MemoryStoreError, match="holds no access log"):
        verify_log(tmp_path / "none")
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        AccessLog(tmp_path / "file" / "log", key)


def test_lines_are_json_behind_a_hash(folder, fill):
    fill(1)
    for line in lines(folder):
        digest, _, text = line.partition(b" ")
        assert len(digest) == 64
        assert json.loads(text)["n"] >= 1
