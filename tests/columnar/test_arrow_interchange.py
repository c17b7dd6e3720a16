"""Columns of other libraries over the Arrow C Data interface."""

from __future__ import annotations

import gc

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arrowmind.columnar import from_arrow
from arrowmind.errors import InvalidArgumentError

NUMBERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64"]
texts = st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=20), max_size=12)


@pytest.mark.parametrize("name", [*NUMBERS, "float16"])
def test_numbers_are_views(name):
    values = np.arange(10).astype(name)
    array = pa.array(values).slice(2, 5)
    taken = from_arrow(array)
    assert taken.dtype == values.dtype
    assert np.array_equal(taken, values[2:7])
    assert not taken.flags.writeable
    assert taken.__array_interface__["data"][0] == array.buffers()[1].address + 2 * values.itemsize


def test_views_keep_the_memory_of_the_producer():
    before = pa.total_allocated_bytes()
    taken = from_arrow(pa.array(range(100_000), pa.int64()))
    gc.collect()
    assert pa.total_allocated_bytes() >= before + 800_000
    assert int(taken.sum()) == sum(range(100_000))
    del taken
    gc.collect()
    assert pa.total_allocated_bytes() == before


@pytest.mark.parametrize("kind", [pa.utf8(), pa.large_utf8(), pa.string_view()])
@settings(derandomize=True, deadline=None, max_examples=40)
@given(texts, st.integers(0, 12))
def test_text(kind, values, start):
    assert from_arrow(pa.array(values, kind).slice(start)) == values[start:]


@settings(derandomize=True, deadline=None, max_examples=40)
@given(st.lists(st.booleans(), max_size=40), st.integers(0, 40))
def test_bools(values, start):
    taken = from_arrow(pa.array(values, pa.bool_()).slice(start))
    assert taken.dtype == np.bool_
    assert taken.tolist() == values[start:]


def test_fixed_size_lists():
    matrix = np.arange(12, dtype=np.float32).reshape(4, 3)
    array = pa.FixedSizeListArray.from_arrays(pa.array(matrix.reshape(-1)), 3).slice(1, 2)
    assert np.array_equal(from_arrow(array), matrix[1:3])


def test_timestamps_are_microseconds():
    assert from_arrow(pa.array([1, 2], pa.timestamp("us", tz="UTC"))).tolist() == [1, 2]


def test_streams_of_chunks():
    assert from_arrow(pa.chunked_array([[1, 2], [3]])).tolist() == [1, 2, 3]
    assert from_arrow(pa.chunked_array([["a", None], ["b"]])) == ["a", None, "b"]
    one = pa.chunked_array([[1.5, 2.5]])
    assert from_arrow(one).__array_interface__["data"][0] == one.chunk(0).buffers()[1].address


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (pa.array([1, None, 3]), "1 missing"),
        (pa.array([[1.0, None]], pa.list_(pa.float64(), 2)), "1 missing"),
        (pa.array([{"a": 1}]), "not served"),
        (pa.array([[1]]), "not served"),
        (pa.array(["a"]).dictionary_encode(), "not served"),
        (pa.array([None]), "not served"),
        (pa.array([1], pa.timestamp("ns")), "not served"),
        (pa.chunked_array([], pa.int8()), "without chunks"),
        ([1, 2], "neither"),
    ],
)
def test_other_columns_are_refused(column, words):
    with pytest.raises(InvalidArgumentError, match=words):
        from_arrow(column)


def test_capsules_of_another_kind_are_refused():
    class Wrong:
        def __arrow_c_array__(self, requested_schema=None):
            schema, array = pa.array([1]).__arrow_c_array__()
            return array, schema

    with pytest.raises(InvalidArgumentError, match="arrow_schema"):
        from_arrow(Wrong())


def test_a_capsule_is_taken_once():
    class Twice:
        def __init__(self):
            self.capsules = pa.array([1]).__arrow_c_array__()

        def __arrow_c_array__(self, requested_schema=None):
            return self.capsules

    twice = Twice()
    assert from_arrow(twice).tolist() == [1]
    with pytest.raises(InvalidArgumentError, match="used already"):
        from_arrow(twice)
