"""What guides the fuzzing of readers in Python: each way through the watched lines counts."""

from __future__ import annotations

import io
import sys

from tests.fuzz.python_target import Coverage

from arrowmind.errors import IntegrityError
from arrowmind.weights import parquet_pages, parquet_thrift


def reached(data: bytes, modules) -> bytes:
    counters = bytearray(1 << 14)
    try:
        with Coverage(memoryview(counters), modules):
            list(parquet_pages.read_pages(io.BytesIO(data), 0, len(data), "test"))
    except IntegrityError:
        pass
    return bytes(counters)


def test_inputs_that_go_other_ways_have_other_counters():
    modules = [parquet_pages, parquet_thrift]
    empty, field, nested = (reached(data, modules) for data in (b"\0", b"\x15\x02\0", b"\x1c\x15\x02\0\0"))
    assert empty == reached(b"\0", modules)
    ways = [{place for place, count in enumerate(counters) if count} for counters in (empty, field, nested)]
    assert ways[1] - ways[0]
    assert ways[2] - ways[1] - ways[0]


def test_nothing_is_watched_but_what_was_asked_for_and_no_longer_than_that():
    before = sys.gettrace()
    assert sum(reached(b"\x15\x02\0", [])) == 1
    assert sys.gettrace() is before
