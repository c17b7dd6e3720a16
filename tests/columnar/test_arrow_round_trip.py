"""What we write, we and pyarrow read; what pyarrow writes, we read."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from arrowmind.columnar import ArrowFile, ArrowWriter, Batch, Deferred, Field, publish, publish_bytes
from arrowmind.errors import InvalidArgumentError

FIELDS = [
    Field("name", "utf8"),
    Field("note", "large_utf8", nullable=True),
    Field("count", "int64", nullable=True),
    Field("small", "uint8"),
    Field("half", "float16"),
    Field("ratio", "float64", nullable=True),
    Field("flag", "bool", nullable=True),
    Field("when", "timestamp[us, tz=UTC]"),
    Field("shape", "list<int32>", nullable=True),
    Field("tags", "list<utf8>"),
    Field("vector", "fixed_size_list<float32, 3>"),
    Field("key", "fixed_size_binary<4>"),
    Field("blob", "binary", nullable=True),
    Field("codes", "large_binary", alignment=4096),
    Field("scales", "large_binary", alignment=64),
]

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
int64 = st.integers(-(2**63), 2**63 - 1)
float32 = st.floats(width=32, allow_nan=False)
STRATEGIES = {
    "name": text,
    "note": st.none() | text,
    "count": st.none() | int64,
    "small": st.integers(0, 255),
    "half": st.floats(width=16, allow_nan=False),
    "ratio": st.none() | st.floats(allow_nan=False),
    "flag": st.none() | st.booleans(),
    "when": int64,
    "shape": st.none() | st.lists(st.integers(-(2**31), 2**31 - 1), max_size=4),
    "tags": st.lists(text, max_size=3),
    "vector": st.lists(float32, min_size=3, max_size=3),
    "key": st.binary(min_size=4, max_size=4),
    "blob": st.none() | st.binary(max_size=9),
    "codes": st.binary(max_size=5000),
    "scales": st.binary(max_size=100),
}
rows_strategy = st.lists(st.fixed_dictionaries(STRATEGIES), max_size=20)
property_test = settings(
    derandomize=True,
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def to_columns(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    return {field.name: [row[field.name] for row in rows] for field in FIELDS}


def aligned(value: bytes, alignment: int) -> bytes:
    return value + bytes(-len(value) % alignment)


def check_against_columns(batch: Batch, columns: dict[str, list[Any]]) -> None:
    for name in ("name", "note"):
        assert batch.strings(name) == columns[name]
    for name in ("count", "small", "half", "ratio", "flag", "when"):
        values = batch.numbers(name, allow_nulls=True).tolist()
        valid = batch.validity(name)
        shown = values if valid is None else [v if ok else None for v, ok in zip(values, valid, strict=True)]
        assert shown == columns[name]
    for name in ("shape", "tags"):
        assert batch.lists(name) == columns[name]
    assert batch.numbers("vector").tolist() == columns["vector"]
    assert [bytes(row) for row in batch.numbers("key")] == columns["key"]
    blob = batch.binary("blob")
    assert [None if blob.is_null(i) else bytes(blob[i]) for i in range(len(blob))] == columns["blob"]


@property_test
@given(st.lists(rows_strategy, max_size=3))
def test_ours_to_ours_and_pyarrow(tmp_path, batches):
    path = tmp_path / "a.arrow"
    all_columns = [to_columns(rows) for rows in batches]
    with publish(path) as file, ArrowWriter(file, FIELDS, {"k": "v"}) as writer:
        for columns in all_columns:
            writer.write_batch(columns)
    with ArrowFile.open(path) as ours:
        assert ours.fields == FIELDS
        assert ours.metadata == {"k": "v"}
        assert ours.num_batches == len(batches)
        assert ours.size == path.stat().st_size
        for i, columns in enumerate(all_columns):
            batch = ours.batch(i)
            assert batch.num_rows == len(batches[i])
            check_against_columns(batch, columns)
            for name, alignment in (("codes", 4096), ("scales", 64)):
                values = batch.binary(name)
                assert [bytes(values[j]) for j in range(len(values))] == [
                    aligned(value, alignment) for value in columns[name]
                ]
                assert all(values.offset(j) % alignment == 0 for j in range(len(values)))
    theirs = pa.ipc.open_file(path)
    assert theirs.num_record_batches == len(batches)
    for i, columns in enumerate(all_columns):
        batch = theirs.get_batch(i)
        batch.validate(full=True)
        for name in STRATEGIES.keys() - {"codes", "scales", "when"}:
            assert batch.column(name).to_pylist() == columns[name], name
        assert batch.column("when").cast(pa.int64()).to_pylist() == columns["when"]


@property_test
@given(rows_strategy)
def test_pyarrow_to_ours(tmp_path, rows):
    columns = to_columns(rows)
    schema = pa.schema(
        [
            ("name", pa.utf8()),
            ("note", pa.large_utf8()),
            ("count", pa.int64()),
            ("small", pa.uint8()),
            ("half", pa.float16()),
            ("ratio", pa.float64()),
            ("flag", pa.bool_()),
            ("when", pa.timestamp("us", tz="UTC")),
            ("shape", pa.list_(pa.int32())),
            ("tags", pa.list_(pa.utf8())),
            ("vector", pa.list_(pa.float32(), 3)),
            ("key", pa.binary(4)),
            ("blob", pa.binary()),
            ("codes", pa.large_binary()),
            ("scales", pa.large_binary()),
        ],
        metadata={"k": "v"},
    )
    arrays = {**columns, "half": np.asarray(columns["half"], np.float16)}
    table = pa.table([pa.array(arrays[field.name], field.type) for field in schema], schema=schema)
    path = tmp_path / "a.arrow"
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        writer.write_table(table)
    with ArrowFile.open(path) as ours:
        assert [field.type for field in ours.fields] == [field.type for field in FIELDS]
        if rows:
            check_against_columns(ours.batch(0), columns)


@property_test
@given(rows_strategy)
def test_c_data_export_equals_what_pyarrow_reads(tmp_path, rows):
    path = tmp_path / "a.arrow"
    with publish(path) as file, ArrowWriter(file, FIELDS) as writer:
        writer.write_batch(to_columns(rows))
    exported = pa.record_batch(ArrowFile.open(path).batch(0))
    exported.validate(full=True)
    read = pa.ipc.open_file(path).get_batch(0)
    assert exported.schema.equals(read.schema, check_metadata=True)
    assert exported.equals(read)


def write(fields: list[Field], columns: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    with ArrowWriter(file, fields) as writer:
        writer.write_batch(columns)
    return file.getvalue()


def test_slices_written_by_pyarrow(tmp_path):
    table = pa.table(
        {"x": list(range(100)), "s": [str(i) for i in range(100)], "l": [[i] for i in range(100)]}
    )
    path = tmp_path / "a.arrow"
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table.slice(13, 50))
    batch = ArrowFile.open(path).batch(0)
    assert batch.numbers("x").tolist() == list(range(13, 63))
    assert batch.strings("s") == [str(i) for i in range(13, 63)]
    assert batch.lists("l") == [[i] for i in range(13, 63)]


def test_values_may_be_lazy_or_larger_than_a_chunk(tmp_path):
    rng = np.random.default_rng(1)
    large = rng.integers(0, 256, 9 << 20, dtype=np.uint8)
    np.save(tmp_path / "m.npy", large.reshape(9, -1))
    memmap = np.load(tmp_path / "m.npy", mmap_mode="r")
    values = [
        large,
        memmap,
        Deferred(large.size, lambda: large),
        Deferred(2 * large.size, lambda: iter([large, memoryview(large)])),
        Deferred(0, lambda: b""),
    ]
    path = tmp_path / "a.arrow"
    publish_bytes(path, write([Field("v", "large_binary", alignment=4096)], {"v": values}))
    read = ArrowFile.open(path).batch(0).binary("v")
    for i in range(3):
        assert np.array_equal(read[i], large)
    assert np.array_equal(read[3], np.concatenate([large, large]))
    assert len(read[4]) == 0


@pytest.mark.parametrize(
    ("type_name", "values", "words"),
    [
        ("int8", [1, 300], "do not fit"),
        ("int8", np.asarray([1.0]), "do not fit"),
        ("int8", ["x"], "do not fit"),
        ("int8", [None], "row 0 is None"),
        ("int64", [2**63], "do not fit"),
        ("int64", [2**70], "int64"),
        ("int8", np.zeros((2, 2), np.int8), "one value per row"),
        ("utf8", ["a", 1], "row 1 is a int"),
        ("utf8", ["a", "\ud800"], "lone surrogate"),
        ("list<int32>", [1], "list<int32>"),
        ("fixed_size_list<float32, 3>", [[1, 2]], r"\[rows, 3\]"),
        ("fixed_size_binary<3>", [b"ab"], "3 bytes"),
        ("large_binary", ["text"], "large_binary"),
        ("large_binary", [Deferred(-1, lambda: b"")], "exact size"),
        ("large_binary", [Deferred(3, lambda: b"ab")], "declared 3 bytes and produced 2"),
    ],
)
def test_values_that_do_not_fit_are_refused(type_name, values, words):
    with pytest.raises(InvalidArgumentError, match=words):
        write([Field("c", type_name)], {"c": values})


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"a": [1]}, "needed"),
        ({"a": [1], "b": [1], "c": [1]}, "needed"),
        ({"a": [1], "b": []}, "differ in length"),
    ],
)
def test_columns_must_match_the_fields(columns, words):
    with pytest.raises(InvalidArgumentError, match=words):
        write([Field("a", "int8"), Field("b", "int8")], columns)


@pytest.mark.parametrize(
    "type_name",
    ["", "int", "int128", "timestamp", "timestamp[ns]", "list<>", "list<int33>", "fixed_size_list<int8>",
     "fixed_size_list<int8, 0>", "fixed_size_list<int8, -1>", "fixed_size_binary<x>",
     "fixed_size_binary<2147483648>"],
)  # fmt: skip
def test_unknown_types_are_refused(type_name):
    with pytest.raises(InvalidArgumentError, match="unknown"):
        Field("c", type_name)


@pytest.mark.parametrize("alignment", [0, -1, 3, 8192])
def test_bad_alignments_are_refused(alignment):
    with pytest.raises(InvalidArgumentError, match="power of two"):
        Field("c", "large_binary", alignment=alignment)


def test_alignment_is_for_binary_only():
    with pytest.raises(InvalidArgumentError, match="only binary"):
        Field("c", "utf8", alignment=64)


def test_field_names_are_unique():
    with pytest.raises(InvalidArgumentError, match="unique"):
        ArrowWriter(io.BytesIO(), [Field("a", "int8"), Field("a", "int8")])


def test_floats_are_cast_freely_and_keep_nan(tmp_path):
    path = tmp_path / "a.arrow"
    publish_bytes(path, write([Field("x", "float32")], {"x": [0.1, math.nan, math.inf]}))
    read = ArrowFile.open(path).batch(0).numbers("x")
    assert np.array_equal(read, np.asarray([0.1, np.nan, np.inf], np.float32), equal_nan=True)
