"""The footer of a Parquet file, read by ourselves: what pyarrow reads in it, and errors where it lies."""

from __future__ import annotations

import struct
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fuzz.fuzz_parquet import read

from arrowmind.errors import IntegrityError, OptimizationError
from arrowmind.weights.parquet_footer import read_footer
from arrowmind.weights.parquet_thrift import Compact

FOUND = sorted((Path(__file__).parents[1] / "fuzz" / "seeds" / "fuzz_parquet").iterdir())


def table(rows: int) -> pa.Table:
    return pa.table({"a": ["x" * 9] * rows, "b": [[1, 2], []] * (rows // 2), "c": [{"d": 5}] * rows})


@pytest.mark.parametrize("dictionary", [False, True])
def test_it_reads_what_pyarrow_reads(dictionary, tmp_path):
    path = tmp_path / "file.parquet"
    pq.write_table(table(60), path, row_group_size=20, use_dictionary=dictionary, write_page_index=True)
    metadata = pq.ParquetFile(path).metadata
    groups = read_footer(path)
    assert len(groups) == metadata.num_row_groups == 3
    for number, group in enumerate(groups):
        described = metadata.row_group(number)
        assert (group.rows, group.unpacked) == (described.num_rows, described.total_byte_size)
        for chunk, column in zip(group.chunks, map(described.column, range(3)), strict=True):
            first = column.dictionary_page_offset if dictionary else column.data_page_offset
            assert chunk.column == column.path_in_schema.split(".")[0]
            assert (chunk.start, chunk.size) == (first, column.total_compressed_size)


def test_a_file_without_rows_has_no_groups_or_empty_ones(tmp_path):
    pq.write_table(table(0), tmp_path / "empty.parquet")
    assert sum(group.rows for group in read_footer(tmp_path / "empty.parquet")) == 0


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PAR1",
        b"PAR1" + struct.pack("<I", 5) + b"PAR1",
        b"PAR1" + struct.pack("<I", 2**32 - 1) + b"PAR1",
        b"PAR1\0" + struct.pack("<I", 1) + b"PAR1",
        b"PAR1\0" + struct.pack("<I", 1) + b"PARE",
        b"PAR1\x49\xfc\xff\xff\x03" + struct.pack("<I", 5) + b"PAR1",  # a list of 65,535 structs in no byte
        b"PAR1\x49\x15\x02\0" + struct.pack("<I", 4) + b"PAR1",  # row groups that are numbers
    ],
)
def test_a_footer_that_is_none_is_one_clear_error(data, tmp_path):
    path = tmp_path / "file.parquet"
    path.write_bytes(data)
    with pytest.raises(IntegrityError, match="the footer cannot be read"):
        read_footer(path)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_struct_or_an_error(data):
    reader = Compact(data)
    try:
        fields = reader.struct()
    except (ValueError, IndexError):
        return
    assert isinstance(fields, dict)
    assert 0 < reader.position <= len(data)


def test_structs_within_structs_come_to_an_end():
    with pytest.raises(ValueError, match="nested deeper"):
        Compact(b"\x1c" * 10_000).struct()


@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.name)
def test_what_fuzzing_found_is_refused(path):
    """One of these made pyarrow end the process, when it was asked where a column lies."""
    with pytest.raises(OptimizationError):
        read(path.read_bytes())
