"""Opening maps and does not read; tensors are views of the mapping; processes share its pages."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from arrowmind.columnar.large_pages import LARGE_PAGE
from arrowmind.weights import WeightFile, write_weights
from arrowmind.weights.tensor import float_tensor, int8_tensor

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/smaps")
TABLE, MATRIX = "embeddings.word_embeddings.weight", "encoder.layer.0.output.dense.weight"


@pytest.fixture(scope="module")
def large(tmp_path_factory) -> Path:
    """A file of 24 MB: a table of 16 MB, a matrix of 8 MB, and 200 vectors."""
    path = tmp_path_factory.mktemp("large") / "weights.arrow"
    random = np.random.default_rng(2)
    codes = random.integers(-127, 128, (2048, 4096)).astype(np.int8)
    tensors = [
        float_tensor(TABLE, random.standard_normal((65536, 64), np.float32)).for_kernels(),
        int8_tensor(MATRIX, codes, np.ones(2048, np.float32)),
        *(float_tensor(f"layer.{i}.bias", np.ones(64, np.float32)) for i in range(200)),
    ]
    write_weights(path, tensors, {"model": {"model_type": "bert"}})
    return path


def mappings(path: Path) -> list[dict[str, int]]:
    """Address range and figures in bytes of each mapping of a file in this process."""
    found, current = [], None
    for line in Path("/proc/self/smaps").read_text().splitlines():
        head = re.match(r"([0-9a-f]+)-([0-9a-f]+) .* (\S*)$", line)
        if head:
            begin, end = (int(part, 16) for part in head.groups()[:2])
            current = {"begin": begin, "end": end} if head[3] == str(path) else None
            if current is not None:
                found.append(current)
        elif current is not None and (figure := re.match(r"(\w+): +(\d+) kB", line)):
            current[figure[1]] = int(figure[2]) * 1024
    return found


def resident(path: Path) -> int:
    return sum(mapping["Rss"] for mapping in mappings(path))


@linux
def test_tensors_lie_in_the_mapping(large):
    with WeightFile.open(large) as weights:
        spans = [(mapping["begin"], mapping["end"]) for mapping in mappings(large)]
        assert spans
        for name in (TABLE, MATRIX, "layer.0.bias"):
            for buffer in weights.tensor(name).buffers():
                if buffer is None:
                    continue
                address = buffer.ctypes.data
                assert any(begin <= address and address + buffer.nbytes <= end for begin, end in spans)
                assert address % 64 == 0
                assert not buffer.flags.writeable
            assert weights.offset(name) % 4096 == 0


@linux
def test_opening_reads_less_than_a_hundredth(large):
    """What is looked at afterwards comes with its page, which may be a large one."""
    with WeightFile.open(large) as weights:
        assert resident(large) < large.stat().st_size / 100
        weights.tensor("layer.7.bias").verify()
        assert resident(large) < large.stat().st_size / 50 + 2 * LARGE_PAGE
        weights.tensor(MATRIX).verify()
        # Both ends of the matrix, the index and the vector: not the table of 16 MB.
        assert 8 << 20 <= resident(large) < (8 << 20) + 4 * LARGE_PAGE


SHARER = """
import sys, numpy as np
from arrowmind.weights import WeightFile
with WeightFile.open(sys.argv[1]) as weights:
    total = sum(int(weights.tensor(name).codes.sum()) for name in weights.names())
    print("ready", flush=True)
    sys.stdin.read()
"""


@linux
def test_two_processes_share_the_pages(large):
    other = subprocess.Popen(
        [sys.executable, "-c", SHARER, str(large)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert other.stdout.readline() == b"ready\n"
        with WeightFile.open(large) as weights:
            weights.verify()
            found = mappings(large)
            shared = sum(mapping["Shared_Clean"] + mapping["Shared_Dirty"] for mapping in found)
            assert shared > 0.9 * large.stat().st_size
            private = sum(mapping["Private_Clean"] + mapping["Private_Dirty"] for mapping in found)
            assert private < 0.1 * large.stat().st_size
    finally:
        other.communicate(b"", timeout=30)


def test_arrays_outlive_the_file(large):
    with WeightFile.open(large) as weights:
        matrix = weights.tensor(MATRIX)
    assert int(matrix.sums[:2048].sum()) == int(matrix.values().sum(dtype=np.int64))


def test_opening_and_reading_import_neither_pyarrow_nor_torch(large):
    program = (
        "import sys; from arrowmind.weights import open_weights; "
        "w = open_weights(sys.argv[1]); w.verify(); "
        "print([name for name in ('pyarrow', 'torch', 'safetensors', 'flatbuffers') if name in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, str(large)], capture_output=True, text=True, check=True
    )
    assert result.stdout == "[]\n"


def test_written_file_is_one_that_pyarrow_reads(large):
    import pyarrow as pa

    with pa.memory_map(str(large)) as source:
        table = pa.ipc.open_file(source).read_all()
        assert table.column_names[:3] == ["name", "layer_name", "weight_name"]
        assert table["shape"][1].as_py() == [65536, 64] or table["shape"][0].as_py() == [65536, 64]
        assert table["codes_bytes"][1].as_py() == 2048 * 4096
