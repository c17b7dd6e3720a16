"""Opening maps and does not read; values are the mapping itself."""

from __future__ import annotations

import gc
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from arrowmind.columnar import ArrowFile, ArrowWriter, Field, publish
from arrowmind.columnar.large_pages import LARGE_PAGE
from arrowmind.errors import InvalidArgumentError

TENSORS = 100
TENSOR_BYTES = 240_000

pytestmark = pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="needs /proc/self/smaps")


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    """A file of the shape of a weight file: small columns, and 24 MB of binary values in their own pages."""
    path = tmp_path_factory.mktemp("mapping") / "weights.arrow"
    fields = [
        Field("name", "utf8"),
        Field("shape", "list<int32>"),
        Field("codes_bytes", "int64"),
        Field("codes", "large_binary", alignment=4096),
        Field("scales", "large_binary", alignment=64),
        Field("checksums", "list<int64>"),
    ]
    values = np.random.default_rng(1).integers(0, 256, (TENSORS, TENSOR_BYTES), dtype=np.uint8)
    with publish(path) as file, ArrowWriter(file, fields) as writer:
        writer.write_batch(
            {
                "name": [f"layer.{i}" for i in range(TENSORS)],
                "shape": [[i, 384] for i in range(TENSORS)],
                "codes_bytes": np.full(TENSORS, TENSOR_BYTES),
                "codes": list(values),
                "scales": [np.ones(384, np.float32)] * TENSORS,
                "checksums": [[i, i + 1, i + 2] for i in range(TENSORS)],
            }
        )
    return path


def mappings(path: Path) -> list[dict[str, int]]:
    """begin, end and the counters (bytes) of each mapping of the file in this process."""
    found = []
    current: dict[str, int] | None = None
    for line in Path("/proc/self/smaps").read_text().splitlines():
        head = re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line)
        if head:
            current = (
                {"begin": int(head[1], 16), "end": int(head[2], 16)} if line.endswith(str(path)) else None
            )
            if current is not None:
                found.append(current)
        elif current is not None and line.endswith(" kB"):
            key, value = line[:-3].split(":")
            current[key] = int(value) * 1024
    return found


def address(array: np.ndarray) -> int:
    return int(array.__array_interface__["data"][0])


def test_values_lie_in_the_mapping(weights):
    with ArrowFile.open(weights) as file:
        batch = file.batch(0)
        codes = batch.binary("codes")
        (mapping,) = mappings(weights)
        content = weights.read_bytes()
        for i in range(TENSORS):
            value = codes[i]
            assert address(value) == mapping["begin"] + codes.offset(i)
            assert address(value) % 4096 == 0
            assert len(value) == -(-TENSOR_BYTES // 4096) * 4096
            assert not value.flags.writeable
            assert content[codes.offset(i) : codes.offset(i) + 16] == bytes(value[:16])
        numbers = batch.numbers("codes_bytes")
        assert mapping["begin"] <= address(numbers) < mapping["end"]
        assert not numbers.flags.writeable
        with pytest.raises(ValueError, match="read-only"):
            numbers[0] = 1


def test_opening_leaves_the_file_on_disk(weights):
    size = weights.stat().st_size
    assert 23e6 < size < 26e6
    file = ArrowFile.open(weights)
    batch = file.batch(0)
    assert mappings(weights)[0]["Rss"] == 0
    assert batch.strings("name")[7] == "layer.7"
    assert batch.lists("shape")[7] == [7, 384]
    assert batch.lists("checksums")[7] == [7, 8, 9]
    codes = batch.binary("codes")
    assert len(codes) == TENSORS
    assert mappings(weights)[0]["Rss"] == 0
    assert int(batch.numbers("codes_bytes").sum()) == TENSORS * TENSOR_BYTES
    resident = mappings(weights)[0]["Rss"]
    # One column lies in one page, which may be a large one.
    assert 0 < resident < max(0.01 * size, LARGE_PAGE + 1)
    # Touching one tensor maps it, and neighbours by at most the kernel's fault-around or large pages.
    int(codes[50].sum())
    assert mappings(weights)[0]["Rss"] < resident + TENSOR_BYTES + max(256 << 10, 2 * LARGE_PAGE)


def test_views_outlive_the_file_object(weights):
    file = ArrowFile.open(weights)
    codes = file.batch(0).binary("codes")
    value = codes[3]
    expected = bytes(value[:100])
    file.close()
    file.close()
    with pytest.raises(InvalidArgumentError, match="is closed"):
        _ = file.num_batches
    del file, codes
    gc.collect()
    assert len(mappings(weights)) == 1
    assert bytes(value[:100]) == expected
    del value
    gc.collect()
    assert mappings(weights) == []


def test_exported_batches_outlive_the_file_object(weights):
    pa = pytest.importorskip("pyarrow")
    with ArrowFile.open(weights) as file:
        batch = pa.record_batch(file.batch(0))
        (mapping,) = mappings(weights)
    del file
    gc.collect()
    data = batch.column("codes").buffers()[2]
    assert mapping["begin"] <= data.address < mapping["end"]
    assert batch.column("name")[99].as_py() == "layer.99"
    del batch, data
    gc.collect()
    assert mappings(weights) == []


def test_a_replaced_file_stays_readable(tmp_path):
    path = tmp_path / "a.arrow"
    for value in (1, 2):
        with publish(path) as target, ArrowWriter(target, [Field("x", "int64")]) as writer:
            writer.write_batch({"x": np.full(100_000, value)})
        if value == 1:
            old = ArrowFile.open(path).batch(0).numbers("x")
    assert (old == 1).all()
    assert (ArrowFile.open(path).batch(0).numbers("x") == 2).all()


CHILD = """
import sys
from arrowmind.columnar import ArrowFile
codes = ArrowFile.open(sys.argv[1]).batch(0).binary("codes")
total = sum(int(codes[i].sum()) for i in range(len(codes)))
print(total, flush=True)
sys.stdin.read()
"""


def test_two_processes_share_the_pages(weights):
    codes = ArrowFile.open(weights).batch(0).binary("codes")
    total = sum(int(codes[i].sum()) for i in range(len(codes)))
    (alone,) = mappings(weights)
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(weights)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert int(child.stdout.readline()) == total
        (together,) = mappings(weights)
        child.communicate("", timeout=30)
    # Pss counts a page shared by two processes as half a page for each.
    assert alone["Rss"] > 0.9 * TENSORS * TENSOR_BYTES
    assert together["Private_Clean"] + together["Private_Dirty"] < 0.1 * together["Rss"]
    assert together["Pss"] < 0.6 * alone["Rss"]


def test_a_forked_child_reads_the_mapping(weights):
    codes = ArrowFile.open(weights).batch(0).binary("codes")
    expected = int(codes[5].sum())
    child = os.fork()
    if child == 0:
        os._exit(0 if int(codes[5].sum()) == expected else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_reading_imports_neither_pyarrow_nor_flatbuffers(weights):
    program = (
        "import sys; from arrowmind.columnar import ArrowFile, ArrowWriter, publish; "
        f"ArrowFile.open({str(weights)!r}).batch(0).strings('name'); "
        "print([m for m in ('pyarrow', 'flatbuffers', 'torch') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
