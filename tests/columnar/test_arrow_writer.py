"""The writer's states, layout and memory."""

from __future__ import annotations

import io
import subprocess
import sys

import numpy as np
import pytest

from arrowmind.columnar import ArrowFile, ArrowWriter, Deferred, Field, publish, publish_bytes
from arrowmind.errors import InvalidArgumentError


def fail() -> bytes:
    raise OSError("gone")


def test_a_failed_batch_cannot_be_published(tmp_path):
    fields = [Field("b", "large_binary")]
    with pytest.raises(OSError, match="gone"), ArrowWriter(io.BytesIO(), fields) as writer:
        writer.write_batch({"b": [Deferred(1, fail)]})
    writer = ArrowWriter(io.BytesIO(), fields)
    with pytest.raises(OSError, match="gone"):
        writer.write_batch({"b": [Deferred(1, fail)]})
    with pytest.raises(InvalidArgumentError, match="writer is broken"):
        writer.write_batch({"b": [b"x"]})
    with pytest.raises(InvalidArgumentError, match="not written to its end"):
        writer.close()


def test_a_refused_batch_leaves_the_writer_usable(tmp_path):
    path = tmp_path / "a.arrow"
    with publish(path) as file, ArrowWriter(file, [Field("x", "int8")]) as writer:
        writer.write_batch({"x": [1]})
        with pytest.raises(InvalidArgumentError):
            writer.write_batch({"x": ["no number"]})
        writer.write_batch({"x": [2]})
    file = ArrowFile.open(path)
    assert [file.batch(i).numbers("x").tolist() for i in range(file.num_batches)] == [[1], [2]]


def test_closing_twice_and_writing_after():
    file = io.BytesIO()
    writer = ArrowWriter(file, [Field("x", "int8")])
    writer.close()
    size = len(file.getvalue())
    writer.close()
    assert len(file.getvalue()) == size
    with pytest.raises(InvalidArgumentError, match="writer is closed"):
        writer.write_batch({"x": [1]})


@pytest.mark.parametrize("metadata", [{"a": 1}, {1: "a"}, {"\ud800": ""}])
def test_metadata_must_be_text(metadata):
    with pytest.raises(InvalidArgumentError, match="not text"):
        ArrowWriter(io.BytesIO(), [], metadata)
    with pytest.raises(InvalidArgumentError, match="not text"):
        ArrowWriter(io.BytesIO(), [Field("x", "int8", metadata=metadata)])


def test_a_file_of_no_columns_or_no_batches(tmp_path):
    path = tmp_path / "a.arrow"
    with publish(path) as file, ArrowWriter(file, [], {"k": "v"}) as writer:
        writer.write_batch({})
    read = ArrowFile.open(path)
    assert (read.fields, read.metadata, read.num_batches, read.batch(0).num_rows) == ([], {"k": "v"}, 1, 0)
    with publish(path) as file, ArrowWriter(file, [Field("x", "int8", metadata={"unit": "m"})]):
        pass
    read = ArrowFile.open(path)
    assert (read.num_batches, read.fields[0].metadata) == (0, {"unit": "m"})


def test_unaligned_binary_is_not_padded(tmp_path):
    path = tmp_path / "a.arrow"
    file = io.BytesIO()
    with ArrowWriter(file, [Field("b", "binary"), Field("c", "binary", alignment=8)]) as writer:
        writer.write_batch({"b": [b"a", b"bc"], "c": [b"a", b"bc"]})
    publish_bytes(path, file.getvalue())
    batch = ArrowFile.open(path).batch(0)
    assert [bytes(value) for value in (batch.binary("b")[0], batch.binary("b")[1])] == [b"a", b"bc"]
    assert [len(batch.binary("c")[i]) for i in range(2)] == [8, 8]
    assert [batch.binary("c").offset(i) % 8 for i in range(2)] == [0, 0]


def test_numpy_values_are_not_changed_by_the_writer(tmp_path):
    values = np.arange(6, dtype=np.int32).reshape(2, 3)[:, ::2]
    path = tmp_path / "a.arrow"
    with publish(path) as file, ArrowWriter(file, [Field("v", "fixed_size_list<int32, 2>")]) as writer:
        writer.write_batch({"v": values})
    assert ArrowFile.open(path).batch(0).numbers("v").tolist() == [[0, 2], [3, 5]]


BOUNDED = """
import resource, sys
import numpy as np
from arrowmind.columnar import ArrowFile, ArrowWriter, Deferred, Field, publish

size, pieces = 32 << 20, 8


def produce(i):
    return (np.full(1 << 20, i, np.uint8) for _ in range(32))


before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
values = [Deferred(size, lambda i=i: produce(i)) for i in range(pieces)]
with publish(sys.argv[1]) as file, ArrowWriter(file, [Field("b", "large_binary", alignment=4096)]) as writer:
    writer.write_batch({"b": values})
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
column = ArrowFile.open(sys.argv[1]).batch(0).binary("b")
assert [int(column[i][-1]) for i in range(pieces)] == list(range(pieces))
"""


def test_a_large_file_is_written_in_little_memory(tmp_path):
    """256 MB through less than 16 MB."""
    result = subprocess.run(
        [sys.executable, "-c", BOUNDED, str(tmp_path / "a.arrow")], capture_output=True, text=True, check=True
    )
    assert int(result.stdout) < 16
