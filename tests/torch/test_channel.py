"""Channels: whole generations only, whatever happens to the publisher; without torch."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from tests.torch.publishing import values

from arrowmind.columnar import publish_bytes
from arrowmind.errors import IntegrityError, InvalidArgumentError, StorageError, WeightError
from arrowmind.torch import channel as module
from arrowmind.torch.channel import Channel, Publisher, sweep_channels
from arrowmind.weights import write_weights
from arrowmind.weights.formats import Grid, GridCodes
from arrowmind.weights.tensor import float_tensor, grid_tensor

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 60


@pytest.fixture
def shared(tmp_path, monkeypatch):
    """Shared memory of this test's own."""
    monkeypatch.setattr(module, "_root", lambda: tmp_path)
    return tmp_path


def start(folder, what):
    package = os.pathsep.join([str(ROOT / "python"), str(ROOT), os.environ.get("PYTHONPATH", "")])
    program = str(Path(__file__).with_name("publishing.py"))
    return subprocess.Popen(
        [sys.executable, program, str(folder), what],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": package},
    )


def test_what_is_published_is_read(tmp_path):
    channel = Channel(tmp_path / "run")
    assert channel.weights() is None
    assert channel.activations() == []
    with Publisher(tmp_path / "run") as publisher:
        assert publisher.weights(values(1)) == 1
        assert publisher.weights({"c.weight": np.ones((2, 3), np.float16)}) == 2
    snapshot = channel.weights()
    assert snapshot.generation == 2
    arrays = snapshot.arrays()
    assert arrays["c.weight"].dtype == np.float16
    assert arrays["c.weight"].shape == (2, 3)
    assert not arrays["c.weight"].flags.writeable
    assert channel.weights(after=2) is None


def test_a_snapshot_stays_as_it_is(tmp_path):
    with Publisher(tmp_path / "run") as publisher:
        publisher.weights(values(1))
        old = Channel(tmp_path / "run").weights()
        publisher.weights(values(2))
        publisher.close(remove=True)
    assert not (tmp_path / "run").exists()
    for name, array in values(1).items():
        np.testing.assert_array_equal(old.arrays()[name], array)


def test_nothing_is_opened_where_nothing_changed(tmp_path, monkeypatch):
    channel = Channel(tmp_path / "run")
    with Publisher(tmp_path / "run") as publisher:
        publisher.weights(values(1))
        assert channel.weights().generation == 1
        monkeypatch.setattr(module, "open_private", lambda path: pytest.fail("opened"))
        assert channel.weights(after=1) is None
        monkeypatch.undo()
        publisher.weights(values(2))
        assert channel.weights(after=1).generation == 2


def test_the_ring_keeps_the_newest(tmp_path):
    channel = Channel(tmp_path / "run")
    with Publisher(tmp_path / "run", ring=3) as publisher:
        for generation in range(1, 6):
            publisher.activations({"layer.0": np.full(4, generation, np.float32)})
    assert [snapshot.generation for snapshot in channel.activations()] == [3, 4, 5]
    assert [snapshot.generation for snapshot in channel.activations(after=4)] == [5]
    np.testing.assert_array_equal(channel.activations()[0].arrays()["layer.0"], np.full(4, 3, np.float32))


def test_a_publisher_counts_on_from_the_last(tmp_path):
    for expected in (1, 2, 3):
        with Publisher(tmp_path / "run") as publisher:
            assert publisher.weights(values(expected)) == expected
            assert publisher.activations(values(expected)) == expected


def test_activations_may_be_infinite_and_weights_may_not(tmp_path):
    broken = {"x": np.array([1, np.nan, np.inf], np.float32)}
    with Publisher(tmp_path / "run") as publisher:
        publisher.activations(broken)
        with pytest.raises(WeightError, match="holds NaN or infinity"):
            publisher.weights(broken)
    channel = Channel(tmp_path / "run")
    np.testing.assert_array_equal(channel.activations()[0].arrays()["x"], broken["x"])
    assert channel.weights() is None


def test_matrices_can_be_packed_for_the_engine(tmp_path, rng):
    matrix = rng.standard_normal((20, 30)).astype(np.float32)
    codes = GridCodes(Grid("int4", 32, "fp16"), np.full((20, 30), 9, np.uint8), np.ones((20, 1), np.float16))
    with Publisher(tmp_path / "run") as publisher:
        publisher.weights({"a.weight": matrix, "b": grid_tensor("b.weight", codes)}, packed=True)
    found = Channel(tmp_path / "run").weights()
    assert found.weights.spec("a.weight").layout == "n16"
    np.testing.assert_array_equal(found.arrays()["a.weight"], matrix)
    np.testing.assert_array_equal(found.arrays()["b"], np.ones((20, 30), np.float32))


def test_one_publisher_at_a_time(tmp_path):
    with Publisher(tmp_path / "run") as first:
        assert Channel(tmp_path / "run").has_publisher
        with pytest.raises(StorageError, match="another process publishes there"):
            Publisher(tmp_path / "run")
        first.close()
        first.close()
        assert not Channel(tmp_path / "run").has_publisher
        with pytest.raises(InvalidArgumentError, match="is closed"):
            first.weights(values(1))
    Publisher(tmp_path / "run").close()
    assert not Channel(tmp_path / "nowhere").has_publisher


# --- two processes


def test_readers_see_whole_generations_of_another_process(tmp_path):
    publisher = start(tmp_path / "run", "forever")
    try:
        publisher.stdout.readline()
        channel, seen, end = Channel(tmp_path / "run"), [0], time.monotonic() + SECONDS
        while len(seen) < 12 and time.monotonic() < end:
            snapshot = channel.weights(after=seen[-1])
            if snapshot is None:
                continue
            for array in snapshot.arrays().values():  # compared with their checksums, too
                assert np.unique(array).tolist() == [snapshot.generation]
            seen.append(snapshot.generation)
            for ring in channel.activations():
                assert {float(a.min()) for a in ring.arrays().values()} == {float(ring.generation)}
        assert len(seen) == 12
        assert seen == sorted(set(seen))
        assert channel.has_publisher
    finally:
        publisher.kill()
        publisher.wait()
        publisher.stdout.close()


def test_a_publisher_killed_in_the_middle_leaves_the_last_generation(tmp_path):
    folder = tmp_path / "run"
    publisher = start(folder, "hang")
    assert publisher.stdout.readline() == "half\n"
    temporary = [path.name for path in folder.iterdir() if path.name.endswith(".tmp")]
    assert len(temporary) == 1
    channel = Channel(folder)
    assert channel.has_publisher
    assert channel.weights().generation == 1
    publisher.send_signal(signal.SIGKILL)
    publisher.wait()
    publisher.stdout.close()
    assert not channel.has_publisher
    for name, array in values(1).items():
        np.testing.assert_array_equal(channel.weights().arrays()[name], array)
    assert (folder / temporary[0]).exists()
    with Publisher(folder) as another:
        assert not (folder / temporary[0]).exists()
        assert another.weights(values(2)) == 2
    assert channel.weights().generation == 2


def test_killed_again_and_again_at_any_moment(tmp_path, rng):
    folder, generation = tmp_path / "run", 0
    for _ in range(5):
        publisher = start(folder, "forever")
        publisher.stdout.readline()
        time.sleep(float(rng.uniform(0, 0.1)))
        publisher.kill()
        publisher.wait()
        publisher.stdout.close()
        snapshot = Channel(folder).weights()
        assert snapshot.generation > generation
        generation = snapshot.generation
        for array in snapshot.arrays().values():
            assert np.unique(array).size == 1
    with Publisher(folder):
        assert not [path for path in folder.iterdir() if path.name.endswith(".tmp")]


def test_channels_of_the_dead_are_swept(shared):
    publisher = start(shared / f"arrowmind-{os.geteuid()}-dead", "hang")
    publisher.stdout.readline()
    with Publisher("alive") as alive:
        alive.weights(values(1))
        assert sweep_channels() == []
        publisher.kill()
        publisher.wait()
        publisher.stdout.close()
        snapshot = Channel("dead").weights()
        assert [path.name for path in sweep_channels()] == [f"arrowmind-{os.geteuid()}-dead"]
        np.testing.assert_array_equal(snapshot.arrays()["b.bias"], values(1)["b.bias"])
        assert Channel("alive").weights().generation == 1
        assert Channel("dead").weights() is None


# --- hostile folders


def put(folder, tensors, documents):
    folder.mkdir(mode=0o700, exist_ok=True)
    write_weights(folder / "weights.arrow", tensors, documents)


@pytest.mark.parametrize(
    "header",
    [
        None,
        7,
        {},
        {"kind": "activations", "generation": 1},
        {"kind": "weights"},
        {"kind": "weights", "generation": "1"},
        {"kind": "weights", "generation": True},
    ],
)
def test_files_that_are_none_of_a_channel(tmp_path, header):
    put(tmp_path / "run", [float_tensor("x", np.ones(3, np.float32))], {"model": {"shared": header, "a": 1}})
    with pytest.raises(WeightError, match="no weights of a channel"):
        Channel(tmp_path / "run").weights()
    with Publisher(tmp_path / "run") as publisher:  # makes room for its own
        assert publisher.weights(values(1)) == 1


@pytest.mark.parametrize("generation", [0, -1, 1 << 62])
def test_generations_out_of_range(tmp_path, generation):
    header = {"kind": "weights", "generation": generation}
    put(tmp_path / "run", [float_tensor("x", np.ones(3, np.float32))], {"model": {"shared": header}})
    with pytest.raises(IntegrityError, match="out of range"):
        Channel(tmp_path / "run").weights()


def test_damaged_files(tmp_path, rng):
    with Publisher(tmp_path / "run") as publisher:
        publisher.weights(values(1))
        publisher.activations(values(1))
    channel = Channel(tmp_path / "run")
    for name in ("weights.arrow", "ring-1.arrow"):
        path = tmp_path / "run" / name
        whole = path.read_bytes()
        for _ in range(40):
            damaged = bytearray(whole)
            for place in (*rng.integers(0, len(damaged), 3), rng.integers(0, 4096)):
                damaged[place] ^= 1 << int(rng.integers(0, 8))
            publish_bytes(path, bytes(damaged[: int(rng.integers(len(whole) // 2, len(whole) + 1))]))
            snapshots = []
            try:
                snapshots = channel.activations() if name.startswith("ring") else [channel.weights()]
                for snapshot in snapshots:
                    snapshot.arrays()
            except WeightError:
                continue
            for snapshot in snapshots:  # what passes the checks is whole, padding aside
                assert np.unique(snapshot.arrays()["a.weight"]).tolist() == [1]


def test_a_fifo_and_a_link_do_not_block(tmp_path):
    (tmp_path / "run").mkdir(mode=0o700)
    os.mkfifo(tmp_path / "run" / "weights.arrow")
    with pytest.raises(WeightError, match="not a regular file"):
        Channel(tmp_path / "run").weights()
    (tmp_path / "other").mkdir(mode=0o700)
    (tmp_path / "other" / ".writer").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match="cannot be a channel"):
        Publisher(tmp_path / "other")
    assert not (tmp_path / "elsewhere").exists()


def test_folders_of_others_are_refused(tmp_path, monkeypatch):
    with Publisher(tmp_path / "run") as publisher:
        publisher.weights(values(1))
    (tmp_path / "link").symlink_to(tmp_path / "run")
    with pytest.raises(StorageError, match="is no folder, or belongs to another user"):
        Publisher(tmp_path / "link")
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(WeightError, match="belongs to another user"):
        Channel(tmp_path / "run").weights()


@pytest.mark.parametrize("name", ["", "..", "-x", "a b", "a" * 65, "ä"])
def test_names_that_cannot_be_used(name):
    with pytest.raises(InvalidArgumentError, match="give a path, or a name"):
        Channel(name)


def test_a_plain_name_is_in_shared_memory(shared):
    with Publisher("run-7") as publisher:
        assert publisher.folder == shared / f"arrowmind-{os.geteuid()}-run-7"
        assert publisher.folder.stat().st_mode & 0o777 == 0o700
    with pytest.raises(InvalidArgumentError, match="ring of 0"):
        Publisher("run-7", ring=0)


@pytest.mark.parametrize("values", [np.ones(3), np.ones(3, np.int64), [1.0, 2.0], None])
def test_types_that_are_not_served(tmp_path, values):
    with Publisher(tmp_path / "run") as publisher, pytest.raises(InvalidArgumentError, match="use float32"):
        publisher.weights({"x": values})


def test_neither_torch_nor_pyarrow(tmp_path):
    code = (
        "import sys, numpy as np\n"
        "from arrowmind.torch import Channel, Publisher\n"
        f"with Publisher({str(tmp_path / 'run')!r}) as p: p.weights({{'a': np.ones(3, np.float32)}})\n"
        f"Channel({str(tmp_path / 'run')!r}).weights().arrays()\n"
        "print([name for name in ('torch', 'pyarrow', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
