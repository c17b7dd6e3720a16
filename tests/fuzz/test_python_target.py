"""What guides the fuzzing of readers in Python: each block of the watched functions counts."""

from __future__ import annotations

import contextlib
import io

import pytest
from tests.fuzz.coverage import Coverage

from arrowmind.errors import IntegrityError
from arrowmind.weights import parquet_pages, parquet_thrift

pytestmark = pytest.mark.usefixtures("thawed")  # which functions there are, the collector says


def reached(data: bytes, modules) -> bytes:
    counters = bytearray(1 << 14)

    def read(data: bytes) -> None:
        list(parquet_pages.read_pages(io.BytesIO(data), 0, len(data), "test"))

    with Coverage(memoryview(counters), modules) as coverage, contextlib.suppress(IntegrityError):
        coverage.of(read, data)
    return bytes(counters)


def test_inputs_that_reach_other_blocks_have_other_counters():
    modules = [parquet_pages, parquet_thrift]
    empty, field, nested = (reached(data, modules) for data in (b"\0", b"\x15\x02\0", b"\x1c\x15\x02\0\0"))
    assert empty == reached(b"\0", modules)
    blocks = [{place for place, count in enumerate(counters) if count} for counters in (empty, field, nested)]
    assert blocks[1] - blocks[0]
    assert blocks[2] - blocks[1] - blocks[0]


def test_nothing_is_watched_but_what_was_asked_for_and_no_longer_than_that():
    def codes():
        return [function.__code__ for function in (parquet_pages.read_pages, parquet_thrift.Compact.struct)]

    before, names = codes(), set(vars(parquet_pages))
    assert sum(reached(b"\x15\x02\0", [])) == 1
    with Coverage(memoryview(bytearray(1 << 14)), [parquet_pages]):
        assert codes()[0] is not before[0]
        assert codes()[1] is before[1]
    assert codes() == before
    assert set(vars(parquet_pages)) == names


def test_watched_functions_answer_and_fail_as_before():
    def read(data: bytes) -> None:
        list(parquet_pages.read_pages(io.BytesIO(data), 0, len(data), "a page"))

    counters = bytearray(64)
    with Coverage(memoryview(counters), [parquet_pages, parquet_thrift]) as coverage:
        with pytest.raises(IntegrityError, match="page"):
            coverage.of(read, b"\0\0\0")
        assert sum(counters) > 1
        coverage.of(lambda data: None, b"")
    assert bytes(counters) == b"\1" + bytes(63)
