"""Folders that appear whole: killed makers, racing makers, full disks."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from arrowmind.errors import StorageError, WeightError
from arrowmind.weights import convert_model, verify_model
from arrowmind.weights.folder import publish_folder

MAKER = """
import sys
from arrowmind.weights.folder import publish_folder
with publish_folder(sys.argv[1], force=True) as building:
    (building / "half").write_text("half")
    print("ready", flush=True)
    sys.stdin.read()
"""
CONVERTER = """
import sys
from arrowmind.errors import WeightError
from arrowmind.weights import convert_model
try:
    convert_model(sys.argv[1], sys.argv[2], force=sys.argv[3] == "force")
except WeightError as error:
    print(error)
    sys.exit(3)
"""
SMALL_DISK = """
import resource, signal, sys
from arrowmind.errors import StorageError
from arrowmind.weights import convert_model
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
try:
    convert_model(sys.argv[1], sys.argv[2], formats=sys.argv[4].split(","))
except StorageError as error:
    print(error)
    sys.exit(4)
finally:  # what the interpreter writes at its end has room again
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
"""


def start(program, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_an_error_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt), publish_folder(tmp_path / "out") as building:
        (building / "file").write_text("x")
        raise KeyboardInterrupt
    assert names(tmp_path) == []


def test_a_killed_maker_is_swept_and_a_running_one_is_not(tmp_path):
    killed, running = start(MAKER, tmp_path / "out"), start(MAKER, tmp_path / "out")
    for maker in (killed, running):
        assert maker.stdout.readline() == "ready\n"
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert len(names(tmp_path)) == 2
    with publish_folder(tmp_path / "out") as building:
        (building / "whole").write_text("whole")
    left = names(tmp_path)
    assert len(left) == 2
    assert left[1] == "out"
    running.communicate("", timeout=30)
    assert running.returncode == 0
    assert names(tmp_path) == ["out"]
    assert names(tmp_path / "out") == ["half"]


def test_a_replacement_cut_in_two_is_undone(tmp_path):
    former = tmp_path / ".out.0123456789abcdef.replaced"
    former.mkdir()
    (former / "old").write_text("old")
    with pytest.raises(WeightError, match="exists"), publish_folder(tmp_path / "out"):
        pass
    assert names(tmp_path) == ["out"]
    assert names(tmp_path / "out") == ["old"]


def test_folders_of_others_are_left_alone(tmp_path):
    for name in (".other.0123456789abcdef.building", ".out.building", ".out.xyz.building"):
        (tmp_path / name).mkdir()
    with publish_folder(tmp_path / "out"):
        pass
    assert len(names(tmp_path)) == 4


@pytest.mark.parametrize("force", ["force", "once"])
def test_two_processes_converting_into_one_folder(force, source, tmp_path):
    racers = [start(CONVERTER, source, tmp_path / "out", force) for _ in range(2)]
    outputs = [racer.communicate(timeout=60)[0] for racer in racers]
    codes = sorted(racer.returncode for racer in racers)
    assert codes == ([0, 0] if force == "force" else [0, 3])
    assert ("exists; choose another name" in "".join(outputs)) == (force == "once")
    assert names(tmp_path) == ["original", "out"]
    assert verify_model(tmp_path / "out").ok


@pytest.mark.skipif(sys.platform != "linux", reason="needs RLIMIT_FSIZE")
@pytest.mark.parametrize("limit", [1000, 20_000, 60_000])
@pytest.mark.parametrize("formats", ["native", "native,parquet-v2", "safetensors"])
def test_no_room_is_one_clear_error_and_leaves_nothing(limit, formats, source, tmp_path):
    maker = start(SMALL_DISK, source, tmp_path / "out", limit, formats)
    output = maker.communicate(timeout=60)[0]
    assert maker.returncode in (0, 4)
    assert maker.returncode == 4 or limit == 60_000
    if maker.returncode == 4:
        assert "no room" in output
        assert names(tmp_path) == ["original"]


def test_a_parent_that_is_a_file(source, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="folder you may write to"):
        convert_model(source, tmp_path / "file" / "out")


def test_an_existing_file_is_never_replaced(source, tmp_path):
    (tmp_path / "out").write_text("x")
    with pytest.raises(WeightError, match="exists"):
        convert_model(source, tmp_path / "out", force=True)
    assert (tmp_path / "out").read_text() == "x"
