"""Packing: nothing lost, longest first, memory bounded."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from arrowmind.engine.batching import pack, slices


@settings(deadline=None, derandomize=True)
@given(st.lists(st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=9), max_size=20))
def test_pack_keeps_every_sequence(sequences):
    batch = pack(sequences)
    for place, origin in enumerate(batch.order):
        packed = batch.token_ids[batch.offsets[place] : batch.offsets[place + 1]]
        assert packed.tolist() == sequences[origin]
    lengths = np.diff(batch.offsets)
    assert (lengths[:-1] >= lengths[1:]).all()
    assert sorted(batch.order.tolist()) == list(range(len(sequences)))


@settings(deadline=None, derandomize=True)
@given(st.lists(st.integers(0, 700_000), max_size=30), st.integers(1, 8))
def test_slices_cover_all_texts_and_stay_small(sizes, most):
    texts = ["x" * size for size in sizes]
    parts = list(slices(texts, most))
    assert [text for part in parts for text in texts[part]] == texts
    for part in parts:
        assert 1 <= part.stop - part.start <= most
        assert part.stop - part.start == 1 or sum(sizes[part]) <= 1 << 20
