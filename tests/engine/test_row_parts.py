"""Rows of a forward, cut for what has memory for fewer."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from arrowmind.engine.row_parts import cut_rows


@given(st.lists(st.integers(1, 40), min_size=1, max_size=12), st.integers(1, 50))
def test_every_row_once_in_order(counts, most):
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    owners = np.repeat(np.arange(len(counts)), counts)
    found = []
    for part in cut_rows(offsets, most):
        assert part.offsets[0] == 0
        assert 1 <= part.offsets[-1] == part.rows.stop - part.rows.start <= most
        assert len(part.offsets) == len(part.sequences) + 1
        found += np.repeat(part.sequences, np.diff(part.offsets)).tolist()
        np.testing.assert_array_equal(found[-part.offsets[-1] :], owners[part.rows])
        assert all(np.diff(part.offsets) > 0)
    assert found == owners.tolist()


def test_what_fits_is_one_part():
    (part,) = cut_rows(np.array([0, 3, 10], np.int32), 10)
    assert (part.rows, part.sequences, part.offsets.tolist()) == (slice(0, 10), [0, 1], [0, 3, 10])
