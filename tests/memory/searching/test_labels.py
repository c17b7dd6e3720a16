"""What stands under a key of metadata, whatever the bytes are."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrowmind.memory.searching.labels import _value, check_field, field_of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=5,
)


@given(JSON, JSON)
def test_values_are_one_label_if_they_are_one_json(one, other):
    labels = [_value(json.dumps({"k": value, "more": 1}).encode(), "k") for value in (one, other)]
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (labels[0] == labels[1]) == same
    assert (labels[0] is None) == (one is None)


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"\xff", b"[]", b"3", b"null", b"{}", b'{"k":' * 5000 + b"1" + b"}" * 5000, b"[" * 99999],
)
def test_what_is_no_metadata_has_no_label(data):
    assert _value(data, "k") is None


def test_fields():
    record = SimpleNamespace(category="c", origin="web", namespace="n", metadata={"a.b": 3})
    found = {"category": "c", "origin": "web", "namespace": "n", "metadata.a.b": 3, "metadata.x": None}
    for name, expected in found.items():
        assert check_field(name) == name
        assert field_of(record, name) == expected
    assert check_field(None) is None
