"""Files that lie, are cut short or were never Arrow: one clear error, or sound data; never a crash."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import struct
from typing import TYPE_CHECKING, Any

import flatbuffers
import numpy as np
import pyarrow as pa
import pytest
from tests.columnar.arrow_hostile import Patch, read_everything

from arrowmind.columnar import ArrowFile, ArrowWriter, Field, ipc_metadata, publish
from arrowmind.errors import IntegrityError, OptimizationError, WeightError

if TYPE_CHECKING:
    from pathlib import Path

FIELDS = [
    Field("name", "utf8", nullable=True),
    Field("x", "int64", nullable=True),
    Field("shape", "list<int32>"),
    Field("vector", "fixed_size_list<float32, 3>"),
    Field("flag", "bool"),
    Field("key", "fixed_size_binary<5>"),
    Field("codes", "large_binary", alignment=64),
]
COLUMNS: dict[str, Any] = {
    "name": ["alpha", None, "gamma"],
    "x": [11, None, 13],
    "shape": [[1, 2], [], [3]],
    "vector": np.arange(9, dtype=np.float32).reshape(3, 3),
    "flag": [True, False, True],
    "key": [b"abcde"] * 3,
    "codes": [b"0" * 64, b"", b"1" * 70],
}
# Values a damaged or hostile length or offset may have.
EXTREMES = [-1, -(2**63), 2**63 - 1, 2**63 - 8, 2**62, 2**31, 2**32, 2**40, 1, 7]


@pytest.fixture
def path(tmp_path) -> Path:
    path = tmp_path / "a.arrow"
    with publish(path) as file, ArrowWriter(file, FIELDS, {"version": "1"}) as writer:
        writer.write_batch(COLUMNS)
        writer.write_batch(COLUMNS)
    assert read_everything(path) == 2 * len(FIELDS)
    return path


def footer_range(content: bytes) -> tuple[int, int]:
    (size,) = struct.unpack("<i", content[-10:-6])
    return len(content) - 10 - size, len(content) - 10


def blocks(path: Path) -> list[tuple[int, int, int]]:
    """Offset, metadata size and body size of each batch, with the place of the first block last."""
    reader = pa.ipc.open_file(path)
    content = path.read_bytes()
    start, _ = footer_range(content)
    places = []
    for offset in range(0, len(content), 8):
        if content[offset : offset + 4] == b"\xff\xff\xff\xff":
            places.append(offset)
    assert len(places) == reader.num_record_batches + 2
    found = []
    for begin, end in itertools.pairwise(places[1:]):
        (size,) = struct.unpack_from("<i", content, begin + 4)
        found.append((begin, size + 8, end - begin - size - 8))
    assert all(begin < start for begin, _, _ in found)
    return found


def test_truncation_anywhere(path):
    content = path.read_bytes()
    for size in reversed(range(len(content))):
        os.truncate(path, size)
        with pytest.raises(WeightError, match=r"a\.arrow"):
            ArrowFile.open(path)


def test_flips_in_all_metadata(path):
    content = path.read_bytes()
    ranges = [(0, 8), (footer_range(content)[0], len(content))]
    ranges += [(begin, begin + size) for begin, size, _ in blocks(path)]
    outcomes = {"sound": 0, "refused": 0}
    for begin, end in ranges:
        for offset in range(begin, end):
            for value in {content[offset] ^ flip for flip in (1, 2, 4, 16, 128, 255)}:
                with Patch(path, offset, bytes([value])):
                    try:
                        read_everything(path)
                        outcomes["sound"] += 1
                    except OptimizationError as error:
                        assert "a.arrow" in str(error)
                        outcomes["refused"] += 1
    assert min(outcomes.values()) > 100


def test_flips_in_bodies(path):
    seed = 3
    choose = random.Random(seed)
    for begin, metadata, body in blocks(path):
        for offset in range(begin + metadata, begin + metadata + body):
            with Patch(path, offset, bytes([choose.randrange(256)])):
                read_everything(path)


def test_random_words_in_metadata(path):
    seed = 4
    choose = random.Random(seed)
    content = path.read_bytes()
    ranges = [footer_range(content), *((begin, begin + size) for begin, size, _ in blocks(path))]
    for _ in range(3000):
        begin, end = choose.choice(ranges)
        width = choose.choice([2, 4, 8])
        offset = choose.randrange(begin, end - width + 1) // 2 * 2
        value = choose.choice([*EXTREMES, choose.getrandbits(64)]) & (2 ** (8 * width) - 1)
        with Patch(path, offset, value.to_bytes(width, "little")), contextlib.suppress(OptimizationError):
            read_everything(path)


def find_once(content: bytes, pattern: bytes, begin: int, end: int) -> int:
    assert content.count(pattern, begin, end) == 1
    return content.index(pattern, begin, end)


@pytest.mark.parametrize("value", EXTREMES)
@pytest.mark.parametrize("what", ["offset", "metadata", "body"])
def test_blocks_that_lie(path, what, value):
    content = path.read_bytes()
    begin, metadata, body = blocks(path)[1]
    entry = find_once(content, struct.pack("<qiiq", begin, metadata, 0, body), *footer_range(content))
    place, width = {"offset": (0, 8), "metadata": (8, 4), "body": (16, 8)}[what]
    data = (value & (2 ** (8 * width) - 1)).to_bytes(width, "little")
    with (
        Patch(path, entry + place, data),
        pytest.raises(IntegrityError, match=r"a batch at|declares a body"),
    ):
        ArrowFile.open(path).batch(1)


def test_blocks_that_overlap(path):
    content = path.read_bytes()
    first, second = blocks(path)
    entry = find_once(
        content, struct.pack("<qiiq", second[0], second[1], 0, second[2]), *footer_range(content)
    )
    same = struct.pack("<qiiq", first[0], first[1], 0, first[2])
    with Patch(path, entry, same), pytest.raises(IntegrityError, match="overlaps"):
        ArrowFile.open(path)
    into_footer = struct.pack("<q", second[2] + 64)
    with Patch(path, entry + 16, into_footer), pytest.raises(IntegrityError, match="leaves the file"):
        ArrowFile.open(path)


@pytest.mark.parametrize("value", EXTREMES)
def test_rows_and_nulls_that_lie(path, value):
    content = path.read_bytes()
    begin, metadata, _ = blocks(path)[0]
    node = content.index(struct.pack("<qq", 3, 1), begin, begin + metadata)
    with Patch(path, node, struct.pack("<q", value)), pytest.raises(IntegrityError, match=r"batch 0: .*rows"):
        ArrowFile.open(path).batch(0)
    if value not in (1, 7):
        with Patch(path, node + 8, struct.pack("<q", value)), pytest.raises(IntegrityError, match="nulls"):
            ArrowFile.open(path).batch(0)


def test_null_counts_are_checked_against_the_bits(path):
    content = path.read_bytes()
    begin, metadata, _ = blocks(path)[0]
    node = content.index(struct.pack("<qq", 3, 1), begin, begin + metadata)
    with Patch(path, node + 8, struct.pack("<q", 2)):
        batch = ArrowFile.open(path).batch(0)
        with pytest.raises(IntegrityError, match="declares 2 nulls but marks 1"):
            batch.strings("name")


@pytest.mark.parametrize("value", EXTREMES)
def test_buffers_that_lie(path, value):
    content = path.read_bytes()
    begin, metadata, _ = blocks(path)[0]
    for size in (24, 36, 192):  # values of x, vector, codes
        starts = [
            offset
            for offset in range(begin, begin + metadata, 8)
            if struct.unpack_from("<q", content, offset) == (size,)
        ]
        assert starts
        for start in starts:
            for place in (start, start - 8):
                with Patch(path, place, struct.pack("<q", value)), contextlib.suppress(OptimizationError):
                    read_everything(path)


@pytest.mark.parametrize("offsets", [(0, 5, 4, 10), (-1, 5, 5, 10), (0, 5, 5, 11), (0, 2**31 - 1, 5, 10)])
def test_offsets_that_lie(path, offsets):
    content = path.read_bytes()
    place = content.index(struct.pack("<4i", 0, 5, 5, 10))
    with Patch(path, place, struct.pack("<4i", *offsets)):
        batch = ArrowFile.open(path).batch(0)
        for read in (batch.strings, batch.binary):
            with pytest.raises(IntegrityError, match="'name' has offsets that leave its 10 bytes"):
                read("name")
        with pytest.raises(IntegrityError, match="offsets"):
            batch.__arrow_c_array__()
        assert batch.numbers("x", allow_nulls=True)[0] == 11


def test_text_that_is_not_utf8(path):
    place = path.read_bytes().index(b"alpha")
    with Patch(path, place + 2, b"\xff"):
        batch = ArrowFile.open(path).batch(0)
        with pytest.raises(IntegrityError, match="'name' row 0 is not UTF-8"):
            batch.strings("name")
        assert bytes(batch.binary("name")[2]) == b"gamma"


def test_names_that_are_not_utf8(path):
    content = path.read_bytes()
    begin, end = footer_range(content)
    name = content.index(b"vector", begin, end)
    with Patch(path, name, b"\xc0\xaf"), pytest.raises(IntegrityError, match="not UTF-8"):
        ArrowFile.open(path)


@pytest.mark.parametrize("size", [0, -1, 2**31 - 1, -(2**31), 10**6])
def test_footer_sizes_that_lie(path, size):
    place = path.stat().st_size - 10
    with (
        Patch(path, place, struct.pack("<i", size)),
        pytest.raises(IntegrityError, match="declares a footer"),
    ):
        ArrowFile.open(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "0 bytes"),
        (b"ARROW1", "6 bytes"),
        (b"ARROW1\0\0" + bytes(100), "truncated"),
        (bytes(200), "not an Arrow IPC file"),
        (b"PAR1" + bytes(100) + b"PAR1", "not an Arrow IPC file"),
        (b"ARROW1\0\0" + struct.pack("<i", 4) + b"ARROW1", "declares a footer of 4 bytes, at most 0"),
    ],
)
def test_files_that_are_not_arrow(tmp_path, content, words):
    path = tmp_path / "a.arrow"
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match=words):
        ArrowFile.open(path)


def test_paths_that_are_not_files(tmp_path):
    with pytest.raises(WeightError, match=r"missing\.arrow: cannot be opened \(No such file"):
        ArrowFile.open(tmp_path / "missing.arrow")
    with pytest.raises(WeightError, match="not a regular file"):
        ArrowFile.open(tmp_path)
    with pytest.raises(WeightError, match="not a regular file"):
        ArrowFile.open("/dev/null")
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(WeightError, match="not a regular file"):
        ArrowFile.open(tmp_path / "fifo")
    with pytest.raises(WeightError, match="NUL"):
        ArrowFile.open("a\0b")
    with pytest.raises(WeightError, match=r"\?\?\?\.arrow: cannot be opened"):
        ArrowFile.open(os.fsdecode(b"/nowhere/\xff\xfe\xff.arrow"))


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_files_without_permission(path):
    path.chmod(0)
    with pytest.raises(WeightError, match="Permission denied"):
        ArrowFile.open(path)


def test_batches_that_do_not_exist(path):
    file = ArrowFile.open(path)
    for index in (-1, 2, 2**40):
        with pytest.raises(ValueError, match=f"no batch {index}, it has 2"):
            file.batch(index)


def test_columns_that_do_not_exist_or_have_another_type(path):
    batch = ArrowFile.open(path).batch(0)
    with pytest.raises(WeightError, match="no column 'nmae', it has name, x, shape"):
        batch.strings("nmae")
    for read, name, words in [
        (batch.strings, "x", "'x' is int64, not text"),
        (batch.numbers, "codes", "'codes' is large_binary, not a column of numbers"),
        (batch.numbers, "shape", "'shape' is list<int32>, not a column of numbers"),
        (batch.lists, "x", "'x' is int64, not a list"),
        (batch.binary, "flag", "'flag' is bool, not binary or text"),
        (batch.numbers, "x", "1 missing values"),
    ]:
        with pytest.raises(WeightError, match=words):
            read(name)
    codes = batch.binary("codes")
    for index in (3, -4, 2**40):
        with pytest.raises(IndexError, match="3 rows"):
            codes[index]
    assert bytes(codes[-1])[:70] == b"1" * 70


def write_with_pyarrow(path: Path, table: pa.Table, **options: Any) -> None:
    options_object = pa.ipc.IpcWriteOptions(**options)
    with (
        pa.OSFile(str(path), "wb") as sink,
        pa.ipc.new_file(sink, table.schema, options=options_object) as writer,
    ):
        writer.write_table(table)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (pa.table({"a": [{"b": 1}]}), "type struct, which is not served"),
        (pa.table({"a": pa.array([1], pa.timestamp("ns"))}), "timestamp of unit 3"),
        (pa.table({"a": pa.array([None])}), "type null"),
        (pa.table({"a": pa.array(["a"], pa.string_view())}), "type utf8_view"),
        (pa.table({"a": pa.array(["a"]).dictionary_encode()}), "dictionary"),
        (pa.table({"a": pa.array([1], pa.decimal128(5))}), "type decimal"),
        (pa.table({"a": pa.array([[[1]]], pa.list_(pa.large_list(pa.int8())))}), "type large_list"),
    ],
)
def test_types_not_served(tmp_path, table, words):
    write_with_pyarrow(tmp_path / "a.arrow", table)
    with pytest.raises(WeightError, match=words):
        ArrowFile.open(tmp_path / "a.arrow")


def test_compressed_batches(tmp_path):
    path = tmp_path / "a.arrow"
    write_with_pyarrow(path, pa.table({"a": list(range(1000))}), compression="lz4")
    with pytest.raises(WeightError, match="compressed, which cannot be mapped"):
        ArrowFile.open(path).batch(0)


def test_metadata_versions(tmp_path):
    path = tmp_path / "a.arrow"
    table = pa.table({"a": [1, 2]})
    write_with_pyarrow(path, table, metadata_version=pa.ipc.MetadataVersion.V4)
    assert ArrowFile.open(path).batch(0).numbers("a").tolist() == [1, 2]
    write_with_pyarrow(path, table, metadata_version=pa.ipc.MetadataVersion.V4, use_legacy_format=True)
    with pytest.raises(IntegrityError, match="continuation marker"):
        ArrowFile.open(path).batch(0)


def test_stream_format_is_no_file(tmp_path):
    path = tmp_path / "a.arrow"
    table = pa.table({"a": [1]})
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(IntegrityError, match="not an Arrow IPC file"):
        ArrowFile.open(path)


def test_two_columns_of_one_name(tmp_path):
    path = tmp_path / "a.arrow"
    write_with_pyarrow(path, pa.table([[1], [2], [3]], names=["a", "a", "b"]))
    batch = ArrowFile.open(path).batch(0)
    assert batch.numbers("b").tolist() == [3]
    with pytest.raises(WeightError, match="two columns 'a'"):
        batch.numbers("a")


def test_nesting_is_limited(tmp_path):
    path = tmp_path / "a.arrow"
    value: Any = 1
    data_type = pa.int32()
    for _ in range(9):
        value, data_type = [value], pa.list_(data_type)
    write_with_pyarrow(path, pa.table({"a": pa.array([value], data_type)}))
    with pytest.raises(IntegrityError, match="nested deeper than 8"):
        ArrowFile.open(path)
    write_with_pyarrow(path, pa.table({"a": pa.array([value[0]], data_type.value_type)}))
    assert ArrowFile.open(path).batch(0).lists("a") == [value[0]]


def arrow_file(footer: bytes) -> bytes:
    return b"ARROW1\0\0" + footer + struct.pack("<i", len(footer)) + b"ARROW1"


def finish_schema(builder: Any, fields: int, metadata: int) -> bytes:
    builder.StartObject(4)
    builder.PrependUOffsetTRelativeSlot(1, fields, 0)
    builder.PrependUOffsetTRelativeSlot(2, metadata, 0)
    schema = builder.EndObject()
    builder.StartObject(5)
    builder.PrependInt16Slot(0, 4, 0)
    builder.PrependUOffsetTRelativeSlot(1, schema, 0)
    builder.Finish(builder.EndObject())
    return bytes(builder.Output())


def test_parts_named_many_times_over(tmp_path):
    path = tmp_path / "a.arrow"
    builder = flatbuffers.Builder(1024)
    field = ipc_metadata._field(builder, Field("a", "int32"))
    path.write_bytes(arrow_file(finish_schema(builder, ipc_metadata._offsets(builder, [field] * 300_000), 0)))
    with pytest.raises(IntegrityError, match="more parts than any sound file"):
        ArrowFile.open(path)

    builder = flatbuffers.Builder(1024)
    text = builder.CreateString("x" * 1_000_000)
    builder.StartObject(2)
    builder.PrependUOffsetTRelativeSlot(0, text, 0)
    builder.PrependUOffsetTRelativeSlot(1, text, 0)
    pairs = ipc_metadata._offsets(builder, [builder.EndObject()] * 50_000)
    path.write_bytes(arrow_file(finish_schema(builder, 0, pairs)))
    with pytest.raises(IntegrityError, match="more text than any sound file"):
        ArrowFile.open(path)


def test_a_huge_sparse_footer_is_not_read(tmp_path):
    path = tmp_path / "a.arrow"
    size = 1 << 30
    with path.open("wb") as file:
        file.write(b"ARROW1\0\0")
        file.truncate(size)
        file.seek(size - 10)
        file.write(struct.pack("<i", size - 18) + b"ARROW1")
    with pytest.raises(IntegrityError, match=f"footer of {size - 18} bytes, at most {64 << 20}"):
        ArrowFile.open(path)


def test_a_file_cut_after_opening_is_noticed_when_read(path):
    file = ArrowFile.open(path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(IntegrityError, match="became shorter"):
        file.batch(0)
