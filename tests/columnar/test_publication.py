"""A published file is whole or absent, whatever stops the writer."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from arrowmind.columnar import publish, publish_bytes, sweep_temporary
from arrowmind.errors import StorageError


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_the_whole_file_appears_at_the_end(tmp_path):
    path = tmp_path / "a.bin"
    with publish(path) as file:
        file.write(b"12")
        file.flush()
        assert not path.exists()
        file.write(b"34")
    assert path.read_bytes() == b"1234"
    publish_bytes(str(path), memoryview(b"new"))
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["a.bin"]


def test_files_get_the_permissions_of_the_umask(tmp_path):
    path = tmp_path / "a.bin"
    before = os.umask(0o027)
    try:
        publish_bytes(path, b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, MemoryError])
def test_an_exception_leaves_the_target_alone(tmp_path, error):
    path = tmp_path / "a.bin"
    publish_bytes(path, b"old")
    with pytest.raises(error), publish(path) as file:
        file.write(b"half")
        raise error
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.bin"]


def test_errors_about_other_files_pass_unchanged(tmp_path):
    with pytest.raises(FileNotFoundError, match="other"), publish(tmp_path / "a.bin"):
        (tmp_path / "other").read_bytes()
    with pytest.raises(ConnectionResetError), publish(tmp_path / "a.bin"):
        raise ConnectionResetError(errno.ECONNRESET, "reset")
    assert names(tmp_path) == []


def test_data_reaches_the_disk_before_the_name(tmp_path, monkeypatch):
    path = tmp_path / "a.bin"
    events = []
    fsync, replace = os.fsync, Path.replace

    def spy_fsync(descriptor):
        kind = "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        events.append((f"fsync {kind}", os.fstat(descriptor).st_size if kind == "file" else None))
        fsync(descriptor)

    def spy_replace(source, target):
        events.append(("rename", target))
        return replace(source, target)

    monkeypatch.setattr(os, "fsync", spy_fsync)
    monkeypatch.setattr(Path, "replace", spy_replace)
    publish_bytes(path, b"12345")
    assert events == [("fsync file", 5), ("rename", path), ("fsync folder", None)]


def test_folders_that_cannot_be_written(tmp_path):
    with pytest.raises(StorageError, match=r"missing/a\.bin: cannot be written \(No such file"):
        publish_bytes(tmp_path / "missing" / "a.bin", b"x")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="Not a directory"):
        publish_bytes(tmp_path / "file" / "a.bin", b"x")
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError, match="Is a directory"):
        publish_bytes(tmp_path / "folder", b"x")
    assert names(tmp_path) == ["file", "folder"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_fills_up_at_the_end(tmp_path, monkeypatch, number):
    path = tmp_path / "a.bin"
    publish_bytes(path, b"old")

    def full(_descriptor):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"a\.bin: no room .* 4 bytes were written and removed again"):
        publish_bytes(path, b"1234")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.bin"]


def run(program: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)], stdout=subprocess.PIPE, text=True
    )


FILL = """
import resource, sys
import numpy as np
from arrowmind.columnar import ArrowWriter, Field, publish
from arrowmind.errors import StorageError
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
try:
    with publish(sys.argv[1]) as file, ArrowWriter(file, [Field("x", "int64")]) as writer:
        for _ in range(64):
            writer.write_batch({"x": np.zeros(10_000)})
except StorageError as error:
    print(error)
"""


def test_writing_into_a_limit(tmp_path):
    path = tmp_path / "a.arrow"
    publish_bytes(path, b"old")
    program = FILL.replace("np.zeros(10_000)", "np.zeros(10_000, np.int64)")
    with run(program, path) as child:
        output, _ = child.communicate(timeout=60)
    assert output.startswith(f"{path}: no room for it (File too large)")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.arrow"]


WRITE_AND_WAIT = """
import sys, time
from arrowmind.columnar import publish
with publish(sys.argv[1]) as file:
    file.write(b"half" * 100_000)
    file.flush()
    print("written", flush=True)
    time.sleep(60)
"""


def test_a_killed_process_leaves_the_target_alone(tmp_path):
    path = tmp_path / "a.bin"
    publish_bytes(path, b"old")
    (tmp_path / ".unrelated.tmp").write_bytes(b"")
    with run(WRITE_AND_WAIT, path) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "written\n"
        assert len(names(tmp_path)) == 3
        assert sweep_temporary(tmp_path) == []
        child.send_signal(signal.SIGKILL)
        child.wait(timeout=30)
    assert path.read_bytes() == b"old"
    (left,) = sweep_temporary(tmp_path)
    assert left.name.startswith(f".a.bin.{child.pid}-")
    assert names(tmp_path) == [".unrelated.tmp", "a.bin"]


def test_a_locked_file_is_not_swept_whatever_its_number(tmp_path):
    """A writer in another container has a process number that means nothing here."""
    with run(WRITE_AND_WAIT, tmp_path / "a.bin") as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "written\n"
        (temporary,) = tmp_path.iterdir()
        # Numbers of processes end at 2^22.
        disguised = temporary.rename(tmp_path / ".a.bin.4194305-0123456789abcdef.tmp")
        assert sweep_temporary(tmp_path) == []
        child.kill()
    assert sweep_temporary(tmp_path) == [disguised]


def test_writers_of_one_name_do_not_disturb_each_other(tmp_path):
    path = tmp_path / "a.bin"
    contents = [bytes([i]) * 200_000 for i in range(4)]

    def write(content: bytes) -> None:
        for _ in range(5):
            publish_bytes(path, content)
            assert path.read_bytes() in contents

    threads = [threading.Thread(target=write, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_bytes() in contents
    assert names(tmp_path) == ["a.bin"]
