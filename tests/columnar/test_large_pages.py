"""Writes end where large pages do."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arrowmind.columnar import ArrowWriter, Field, large_pages
from arrowmind.columnar.large_pages import LARGE_PAGE, LargePages


class Recorder:
    """A file that keeps what each write brought."""

    def __init__(self):
        self.writes = []

    def write(self, data):
        self.writes.append(bytes(data))
        return len(data)


@settings(deadline=None)
@given(
    sizes=st.lists(st.one_of(st.integers(0, 40), st.sampled_from([15, 16, 17, 31, 32, 33, 160])), max_size=40)
)
def test_every_write_but_the_last_ends_at_a_page(sizes):
    """The bytes are the same, and none waits that fills a page."""
    data = np.random.default_rng(len(sizes)).integers(0, 256, sum(sizes), dtype=np.uint8)
    file, position = Recorder(), 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(large_pages, "LARGE_PAGE", 16)
        pages = LargePages(file)
        for size in sizes:
            pages.write(data[position : position + size])
            position += size
            written = sum(map(len, file.writes))
            assert written == position // 16 * 16
            assert all(len(one) % 16 == 0 and one for one in file.writes)
        pages.flush()
    assert b"".join(file.writes) == data.tobytes()


def test_pages_begin_where_they_do_in_the_file_after_a_flush():
    file = Recorder()
    pages = LargePages(file)
    pages.write(np.zeros(1000, np.uint8))
    pages.flush()
    pages.write(np.zeros(3 * LARGE_PAGE, np.uint8))
    assert [len(one) for one in file.writes] == [1000, 3 * LARGE_PAGE - 1000]


def test_a_file_of_many_small_columns_is_written_in_large_pages():
    """Matrices of half a megabyte, as models of two bits have them."""
    file = Recorder()
    with ArrowWriter(file, [Field("codes", "large_binary", alignment=4096)]) as writer:
        writer.write_batch({"codes": [np.full(500_000, i, np.uint8) for i in range(20)]})
    assert [len(one) for one in file.writes[:4]] == [LARGE_PAGE] * 4
    assert sum(map(len, file.writes[4:])) < 2 * LARGE_PAGE
