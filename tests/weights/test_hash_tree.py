"""The hash tree of weights.arrow: what it is, what it finds, and when it looks."""

from __future__ import annotations

import hashlib
import json
import threading

import numpy as np
import pytest
from tests.weights.conftest import tiny_tensors, write_folder
from tests.weights.forge import forge

from arrowmind.columnar import ArrowFile
from arrowmind.config import load_config
from arrowmind.errors import ConfigurationError, IntegrityError, InvalidArgumentError
from arrowmind.weights import WeightFile, convert_model, open_weights, verify_model, write_weights
from arrowmind.weights.tensor import float_tensor, int8_tensor

CHUNK = 1 << 16
TABLE, MATRIX = "embeddings.word_embeddings.weight", "encoder.layer.0.output.dense.weight"
SEED = 20261123


def make(path, value=1.0):
    """A file of 1.3 MB: a table, a matrix, some vectors."""
    random = np.random.default_rng(SEED)
    codes = random.integers(-127, 128, (256, 2048)).astype(np.int8)
    tensors = [
        float_tensor(TABLE, random.standard_normal((3072, 64), np.float32)).for_kernels(),
        int8_tensor(MATRIX, codes, np.full(256, value, np.float32)),
        *(float_tensor(f"layer.{i}.bias", np.ones(64, np.float32)) for i in range(20)),
    ]
    write_weights(path, tensors, {"model": {"model_type": "bert"}})
    return path


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    return make(tmp_path_factory.mktemp("sound") / "weights.arrow").read_bytes()


@pytest.fixture
def path(tmp_path, sound):
    (tmp_path / "weights.arrow").write_bytes(sound)
    return tmp_path / "weights.arrow"


def flip(path, position):
    with path.open("r+b") as file:
        file.seek(position)
        byte = file.read(1)[0]
        file.seek(position)
        file.write(bytes([byte ^ 1]))


def layout(data):
    """Offsets of tree and footer."""
    footer = len(data) - 10 - int.from_bytes(data[-10:-6], "little")
    return data.rindex(b"ARROWMRK", 0, footer), footer


def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def test_the_bytes_are_those_of_the_specification(sound):
    start, footer = layout(sound)
    assert b"arrowmind.tree" in sound[footer:]
    assert str(start).encode() in sound[footer:]
    pieces = [sound[i : min(i + CHUNK, start)] for i in range(0, start, CHUNK)]
    pieces += [sound[i : i + CHUNK] for i in range(footer, len(sound), CHUNK)]
    leaves = [sha(b"\0", piece) for piece in pieces]
    level = leaves
    while len(level) > 1:
        pairs = [sha(b"\1", *level[i : i + 2]) for i in range(0, len(level) - 1, 2)]
        level = pairs + level[len(pairs) * 2 :]
    u64 = lambda value: value.to_bytes(8, "little")  # noqa: E731
    root = sha(b"\2ARROWMRK\1\x10", u64(start), u64(len(sound) - footer), level[0])
    head = b"ARROWMRK\1\x10" + bytes(6) + u64(start) + u64(len(leaves)) + root
    tree = head + b"".join(leaves)
    assert sound[start:footer] == tree + bytes(-len(tree) % 64)


def test_other_readers_do_not_mind(path):
    import pyarrow as pa

    table = pa.ipc.open_file(path).read_all()
    assert table.num_rows == 22


def test_every_byte_counts(path, sound):
    start, footer = layout(sound)
    random = np.random.default_rng(SEED)
    places = [0, 7, 8, start - 1, start, start + 40, footer - 1, footer, len(sound) - 11, len(sound) - 1]
    for position in [*places, *random.integers(0, len(sound), 60).tolist()]:
        flip(path, position)
        with pytest.raises(IntegrityError, match=str(path)):
            WeightFile.open(path, "full")
        flip(path, position)
    WeightFile.open(path, "full").close()


def test_damage_is_found_when_it_is_touched_and_named(path):
    with WeightFile.open(path) as weights:
        place = weights.offset(MATRIX) + 100_000
    flip(path, place)
    with WeightFile.open(path) as weights:
        weights.tensor(TABLE).verify()
        matrix = weights.tensor(MATRIX)
        for _ in range(2):  # not only the first who asks is told
            with pytest.raises(
                IntegrityError, match=rf"{path}: tensor '{MATRIX}': bytes .* chunk \d+ .* copy"
            ):
                matrix.verify()
        with pytest.raises(IntegrityError, match=MATRIX):
            weights.verify()
    with pytest.raises(IntegrityError, match=MATRIX):
        WeightFile.open(path, "full")
    with (
        WeightFile.open(path, "off") as weights,
        pytest.raises(IntegrityError, match="checksum of its codes"),
    ):
        weights.tensor(MATRIX).verify()


def test_scales_and_the_index_are_compared(path):
    batch = ArrowFile.open(path).batch(0)
    flip(path, batch.binary("scales").offset(1) + 3)
    with WeightFile.open(path, "off") as weights:
        assert weights.names()
    # Small buffers lie in the chunks that hold the index.
    with pytest.raises(IntegrityError, match=r"the index|scales"), WeightFile.open(path) as weights:
        weights.tensor(MATRIX)


def test_a_chunk_is_hashed_once_whoever_asks(path):
    with WeightFile.open(path) as weights:
        tensors = [weights.tensor(name) for name in weights.names()]
        tree = tensors[0].tree
        barrier, errors = threading.Barrier(8), []

        def touch():
            barrier.wait()
            try:
                for tensor in tensors:
                    tree.verify(tensor.codes, tensor.spec.name)
            except IntegrityError as error:
                errors.append(error)

        threads = [threading.Thread(target=touch) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not errors
        weights.verify()
        start, footer = layout(path.read_bytes())
        tail = path.stat().st_size - footer
        assert tree.hashed_chunks == -(-start // CHUNK) + -(-tail // CHUNK)


def test_everybody_is_told_of_damage(path):
    with WeightFile.open(path) as weights:
        place = weights.offset(MATRIX)
    flip(path, place)
    with WeightFile.open(path) as weights:
        matrix, found = weights.tensor(MATRIX), []

        def touch():
            try:
                matrix.tree.verify(matrix.codes, "it")
            except IntegrityError as error:
                found.append(error)

        threads = [threading.Thread(target=touch) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 8


def test_opening_hashes_little(path):
    with WeightFile.open(path) as weights:
        tree = weights.tensor("layer.3.bias").tree
        before = tree.hashed_chunks
        assert before < 6
        weights.tensor(MATRIX).verify()
        assert before < tree.hashed_chunks <= before + 256 * 2048 // CHUNK + 1
    with WeightFile.open(path, "off") as weights:
        assert weights.tensor(MATRIX).tree is None
        assert len(weights.root) == 64


def test_memory_of_others_is_refused(path):
    with WeightFile.open(path) as weights:
        tree = weights.tensor(MATRIX).tree
        with pytest.raises(InvalidArgumentError, match="not of its mapping"):
            tree.verify(np.zeros(8, np.uint8), "nothing")
        tree.verify(np.zeros(0, np.uint8), "nothing")


def test_files_without_a_tree_stay_readable(tmp_path):
    path = forge(tmp_path / "weights.arrow")
    for mode in ("off", "first_touch", "full"):
        with WeightFile.open(path, mode) as weights:
            weights.verify()
            assert weights.root == ""
    assert verify_model(path).notes == ["weights.arrow has no hash tree: checksums of its buffers only"]


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("start", "its hash tree lies at"),
        ("text", "its hash tree lies at"),
        ("leaf", "do not give the root"),
        ("root", "do not give the root"),
        ("version", "not that of one"),
        ("padding", "not that of one"),
        ("count", "not that of one"),
        ("longer", "its hash tree lies at"),
    ],
)
def test_trees_that_lie(what, message, path, sound):
    start, footer = layout(sound)
    data, digits = bytearray(sound), str(start).encode()
    key = sound.index(digits, footer)
    places = {
        "leaf": start + 70,
        "root": start + 33,
        "version": start + 8,
        "padding": start + 12,
        "count": start + 24,
    }
    if what == "start":
        data[key : key + len(digits)] = str(start - 64).encode().rjust(len(digits), b"0")
    elif what == "text":
        data[key] = ord("x")
    elif what == "longer":
        data[footer:footer] = bytes(64)
    else:
        data[places[what]] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(IntegrityError, match=message):
        WeightFile.open(path)


@pytest.fixture
def folder(tmp_path):
    convert_model(write_folder(tmp_path / "original", tiny_tensors()), tmp_path / "out")
    return tmp_path / "out"


def test_the_manifest_names_the_root(folder):
    entry = json.loads((folder / "manifest.json").read_text())["files"]["weights.arrow"]
    with WeightFile.open(folder / "weights.arrow") as weights:
        assert entry["root"] == weights.root
    report = verify_model(folder)
    assert report.ok
    assert (
        report.bytes
        == sum(path.stat().st_size for path in folder.iterdir() if path.suffix != ".manifest")
        - (folder / "manifest.json").stat().st_size
    )


def test_a_file_of_another_folder_is_refused(folder, tmp_path):
    convert_model(write_folder(tmp_path / "second", tiny_tensors(1)), tmp_path / "other")
    other = (tmp_path / "other" / "weights.arrow").read_bytes()
    (folder / "weights.arrow").write_bytes(other)
    with pytest.raises(IntegrityError, match=r"root of its hash tree is .* names"):
        open_weights(folder)
    assert "root of its hash tree" in verify_model(folder).problems[0]
    open_weights(folder, verify="off").close()


def test_a_file_that_lost_its_tree_is_refused(folder):
    size = (folder / "weights.arrow").stat().st_size
    forge(folder / "weights.arrow")
    with pytest.raises(IntegrityError, match="has no hash tree"):
        open_weights(folder)
    (folder / "weights.arrow").write_bytes((folder / "weights.arrow").read_bytes().ljust(size, b"\0"))
    with pytest.raises(IntegrityError):
        open_weights(folder)


def test_manifests_of_old_folders_have_no_root(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["files"]["weights.arrow"]["root"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    open_weights(folder).close()
    assert verify_model(folder).ok


def test_the_setting(path):
    assert load_config(env={}).weights.verify == "first_touch"
    assert load_config(env={"ARROWMIND_WEIGHTS_VERIFY": "full"}).weights.verify == "full"
    with pytest.raises(ConfigurationError, match=r"weights\.verify"):
        load_config(env={"ARROWMIND_WEIGHTS_VERIFY": "never"})
    with pytest.raises(InvalidArgumentError, match="first_touch"):
        WeightFile.open(path, "never")
