"""Acknowledged means stored: whatever kills the process, and whenever."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.memory import worker
from tests.memory.encryption.samples import CHANGE_STEPS
from tests.memory.fake_encoder import FakeEncoder
from tests.memory.ledger import Ledger
from tests.memory.worker import SETTINGS, Job, start

from arrowmind.memory import MemoryStore, steps

KILLS = int(os.environ.get("ARROWMIND_KILLS", "16"))
ON_ONE_STORE = 4
STEPS = [
    "blob.published",
    "blobs.before_commit",
    "cold.published",
    "segment.batch_written",
    "segment.published",
    "flush.before_commit",
    "flush.committed",
    "batch.before_commit",
    "batch.committed",
    "index.committed",
    "index.rebuilt",
    "index.recorded",
    "rewrite.before_commit",
    "rewrite.committed",
    "rewrite.unlinked",
]


def test_kill_at_any_moment(tmp_path):
    seed = int(os.environ.get("ARROWMIND_KILL_SEED", "20261107"))
    chance, count = random.Random(seed), 0
    folder, ledger = tmp_path / "store", Ledger()
    for number in range(KILLS):
        worker = start(Job(folder, seed + number, tag=f"r{number}"))
        for _ in range(chance.randrange(1, 120)):
            worker.read()
        time.sleep(chance.uniform(0.0, 0.05))
        worker.process.kill()
        assert worker.finish() == -signal.SIGKILL
        ledger.read(worker)
        if number % ON_ONE_STORE == ON_ONE_STORE - 1:
            ledger.check(folder)
            count += len(ledger.stored) + len(ledger.forgotten)
            shutil.rmtree(folder)
            ledger = Ledger()
    print(f"{KILLS} kills, {count} acknowledged memories")
    assert count > 100, f"seed {seed}: {count} acknowledged memories prove little"


@pytest.mark.parametrize("step", STEPS)
def test_death_between_two_steps(tmp_path, step):
    folder, ledger = tmp_path / "store", Ledger()
    worker = start(Job(folder, STEPS.index(step), rounds=60, die_at=step))
    assert worker.finish() == 9, f"never came to {step}"
    ledger.read(worker)
    ledger.check(folder)
    # The next writer goes on, and leaves nothing behind of what died.
    worker = start(Job(folder, 1, tag="next", rounds=4))
    assert worker.finish() == 0
    ledger.read(worker)
    with MemoryStore(folder, FakeEncoder(16), settings=SETTINGS) as store:
        store.compact()
        with store._catalogue.reading() as db:
            named = {row[0] for row in db.execute("SELECT name FROM segment")}
            generation = db.execute("SELECT generation FROM text_index").fetchone()
            hashes = [row[0].hex() for row in db.execute("SELECT sha256 FROM attachment")]
        blobs = {store.paths.blob(sha256).name for sha256 in hashes}
    assert {path.name for path in (folder / "segments").iterdir()} == named
    assert {path.name for path in (folder / "index").iterdir()} == set(generation or ())
    assert {path.name for path in (folder / "blobs").iterdir()} == blobs
    ledger.check(folder)


def test_every_step_is_in_the_list():
    source = "".join(path.read_text() for path in Path(steps.__file__).parent.rglob("*.py"))
    # See test_migration.py and test_lifecycle.py.
    upgrade = {"schema.before_commit", "change.before_commit", "change.committed", "undo.before_commit"}
    upgrade |= {"backup.catalogue", "joint.published"}
    # See encryption/test_changing.py.
    upgrade |= {f"encryption.{step}" for step in CHANGE_STEPS}
    assert set(re.findall(r'reached\("([^"]+)"\)', source)) == set(STEPS) | upgrade


def test_a_segment_is_on_disk_before_the_catalogue_names_it(tmp_path, encoder, monkeypatch):
    events = []
    fsync, replace = os.fsync, os.replace

    def noted_fsync(descriptor):
        events.append(("fsync", str(Path(f"/proc/self/fd/{descriptor}").readlink())))
        fsync(descriptor)

    def noted_replace(source, target, **options):
        events.append(("rename", os.fspath(source), os.fspath(target)))
        replace(source, target, **options)

    with MemoryStore(tmp_path / "s", encoder) as store:
        store.remember_many(["one text", "two texts"])
        monkeypatch.setattr(os, "fsync", noted_fsync)
        monkeypatch.setattr(os, "replace", noted_replace)
        steps.set_hook(lambda step: events.append(("step", step)))
        try:
            store.flush()
        finally:
            steps.set_hook(None)
    kinds = [event[0] for event in events]
    renamed = kinds.index("rename")
    _, temporary, target = events[renamed]
    assert ("fsync", temporary) in events[:renamed]
    synced_folder = events.index(("fsync", str(Path(target).parent)), renamed)
    assert synced_folder < events.index(("step", "flush.before_commit"))


def test_commits_wait_for_the_disk(store):
    store.remember("x")
    with store._catalogue.connection() as db:
        assert db.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert db.execute("PRAGMA secure_delete").fetchone() == (1,)


def test_system_calls_of_an_acknowledged_write(tmp_path):
    """No acknowledgement leaves the process while a byte of the log is not synced."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    log = tmp_path / "trace"
    calls = "trace=write,pwrite64,fsync,fdatasync"
    command = [strace, "-f", "-y", "-e", calls, "-o", str(log)]
    command += [sys.executable, "-m", worker.__name__, str(tmp_path / "s"), "5", "6"]
    done = subprocess.run(command, capture_output=True, check=False, cwd=worker.ROOT)
    if done.returncode != 0 and b"ptrace" in done.stderr:
        pytest.skip("this machine forbids tracing")
    assert done.returncode == 0, done.stderr.decode()
    dirty, acknowledged, synced = False, 0, 0
    for line in log.read_text().splitlines():
        if re.search(r"\b(pwrite64|write)\(\d+<[^>]*catalogue\.sqlite-wal>", line):
            dirty = True
        elif re.search(r"\b(fsync|fdatasync)\(\d+<[^>]*catalogue\.sqlite-wal>", line):
            dirty, synced = False, synced + 1
        elif re.search(r'\bwrite\(1<[^>]*>, "stored', line):
            acknowledged += 1
            assert not dirty, f"acknowledged before the log was synced: {line}"
    assert acknowledged > 20
    assert synced >= 6
