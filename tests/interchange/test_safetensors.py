"""The safetensors reader: sound files as the reference library sees them, and every way to lie."""

from __future__ import annotations

import gc
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.interchange.forge import safetensors

from arrowmind import _native
from arrowmind.errors import IntegrityError, WeightError

TENSORS = {
    "b": np.arange(6, dtype=np.float32).reshape(2, 3),
    "a": np.arange(4, dtype=np.float16),
    "empty": np.zeros((0, 3), np.int64),
    "scalar": np.array(7, np.uint8),
    "häß": np.ones((2, 1, 2), np.int32),
}


def opened(path, data):
    path.write_bytes(data)
    return _native.SafetensorsFile.open(bytes(path))


def one(dtype="F32", shape=(1,), begin=0, end=4, **more):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end], **more}


def test_the_library_and_the_reader_agree(tmp_path):
    numpy = pytest.importorskip("safetensors.numpy")
    path = tmp_path / "a.safetensors"
    numpy.save_file(TENSORS, path, metadata={"format": "pt", "x": '\n"ü'})
    file = _native.SafetensorsFile.open(bytes(path))
    assert set(file.names()) == set(TENSORS)
    assert file.metadata == {"format": "pt", "x": '\n"ü'}
    assert file.size == path.stat().st_size
    raw = path.read_bytes()
    for name, values in TENSORS.items():
        assert file.shape(name) == values.shape
        view = file.tensor(name)
        assert not view.flags.writeable
        assert view.tobytes() == values.tobytes()
        assert raw[file.offset(name) :].startswith(values.tobytes())
    assert [file.dtype(name) for name in TENSORS] == ["F32", "F16", "I64", "U8", "I32"]


def test_views_outlive_the_file(tmp_path):
    file = opened(tmp_path / "a", safetensors({"a": one()}, b"\1\2\3\4"))
    view = file.tensor("a")
    del file
    gc.collect()
    (tmp_path / "a").unlink()
    assert view.tolist() == [1, 2, 3, 4]
    with pytest.raises((ValueError, TypeError)):
        view[0] = 1


def test_no_tensors_and_unknown_fields(tmp_path):
    assert opened(tmp_path / "a", safetensors({})).names() == []
    extended = {"a": one(note={"deep": [1, 2.5, None]})}
    assert opened(tmp_path / "b", safetensors(extended, bytes(4))).names() == ["a"]
    assert opened(tmp_path / "c", safetensors(b"{}   ", b"")).names() == []


def test_names_that_are_not_there(tmp_path):
    file = opened(tmp_path / "a", safetensors({"a": one()}, bytes(4)))
    for ask in (file.shape, file.dtype, file.offset, file.tensor):
        with pytest.raises(WeightError, match="no tensor 'b'"):
            ask("b")


def raw_tensor(shape=b"[1]", offsets=b"[0,4]", dtype=b'"F32"', name=b'"a"'):
    return b'{%s:{"dtype":%s,"shape":%s,"data_offsets":%s}}' % (name, dtype, shape, offsets)


BIG = str(2**63).encode()
LIES = {
    "nothing": (b"", "too few"),
    "seven bytes": (b"1234567", "too few"),
    "no header": (struct.pack("<Q", 0), "header of 0 bytes"),
    "header past the end": (struct.pack("<Q", 3) + b"{}", "header of 3 bytes, at most 2"),
    "header of 2^63": (struct.pack("<Q", 2**63) + b"{}", "header of 9223372036854775808 bytes"),
    "header of 2^64 - 1": (struct.pack("<Q", 2**64 - 1) + b"{}", "header of 18446744073709551615"),
    "no JSON": (safetensors(b"{"), "JSON"),
    "a list": (safetensors(b"[]"), "needs '{'"),
    "leading zero byte": (safetensors(b"\0{}"), "needs '{'"),
    "two values": (safetensors(b"{}{}"), "behind its end"),
    "zero bytes behind": (safetensors(b"{}\0\0"), "behind its end"),
    "recursion": (safetensors(b'{"a":' * 100_000), "unknown|lacks|needs|deeper"),
    "recursion in a field": (safetensors(b'{"a":{"x":' + b"[" * 100_000), "deeper than 32"),
    "product wraps to 4 bytes": (
        safetensors(raw_tensor(b"[%d,%d]" % (2**62, 4)), bytes(4)),
        r"does not fit its 4 bytes",
    ),
    "product wraps in bytes": (safetensors(raw_tensor(b"[%d]" % (2**62)), b""), "does not fit"),
    "many sizes": (safetensors(raw_tensor(b"[" + b"1," * 40 + b"1]"), bytes(4)), "more than 32 numbers"),
    "size too small": (safetensors({"a": one(shape=[2])}, bytes(4)), "does not fit its 4 bytes"),
    "half a byte": (safetensors({"a": one("F4", [3], 0, 1)}, bytes(1)), "does not fit"),
    "size 2^63": (safetensors(raw_tensor(b"[%s]" % BIG), bytes(4)), "above 2"),
    "size -1": (safetensors(raw_tensor(b"[-1]"), bytes(4)), "not a whole number"),
    "size -0": (safetensors(raw_tensor(b"[-0]"), bytes(4)), "not a whole number"),
    "size 1.0": (safetensors(raw_tensor(b"[1.0]"), bytes(4)), "not a whole number"),
    "size 1e0": (safetensors(raw_tensor(b"[1e0]"), bytes(4)), "not a whole number"),
    "size 1e999": (safetensors(raw_tensor(b"[1e999]"), bytes(4)), "not a whole number"),
    "size 01": (safetensors(raw_tensor(b"[01]"), bytes(4)), "not a whole number"),
    "size as text": (safetensors(raw_tensor(b'["1"]'), bytes(4)), "not a whole number"),
    "size null": (safetensors(raw_tensor(b"null"), bytes(4)), r"needs '\['"),
    "backwards": (safetensors({"a": one(begin=4, end=0)}, bytes(4)), "ends before it begins"),
    "past the end": (safetensors({"a": one(shape=[2], end=8)}, bytes(4)), "lies at 0 of 4"),
    "offset 2^63 - 4": (
        safetensors(raw_tensor(b"[1]", b"[%d,%d]" % (2**63 - 5, 2**63 - 1)), bytes(4)),
        "should at 0",
    ),
    "offset 2^64": (safetensors(raw_tensor(b"[1]", b"[0,%d]" % 2**64), bytes(4)), "above 2"),
    "one offset": (safetensors(raw_tensor(b"[1]", b"[0]"), bytes(4)), "two data_offsets"),
    "three offsets": (safetensors(raw_tensor(b"[1]", b"[0,4,8]"), bytes(4)), "more than 2 numbers"),
    "overlap": (safetensors({"a": one(), "b": one(begin=2, end=6)}, bytes(6)), "it should at 4"),
    "the same place": (safetensors({"a": one(), "b": one()}, bytes(4)), "it should at 4"),
    "gap in front": (safetensors({"a": one(begin=4, end=8)}, bytes(8)), "it should at 0"),
    "gap between": (safetensors({"a": one(), "b": one(begin=8, end=12)}, bytes(12)), "it should at 4"),
    "rest behind": (safetensors({"a": one()}, bytes(8)), "4 bytes behind the last tensor"),
    "rest without tensors": (safetensors({}, bytes(8)), "8 bytes behind"),
    "unknown dtype": (safetensors({"a": one("Q7")}, bytes(4)), "unknown dtype 'Q7'"),
    "long dtype": (safetensors({"a": one("é" * 5000)}, bytes(4)), "unknown dtype"),
    "lacks dtype": (safetensors({"a": {"shape": [1], "data_offsets": [0, 4]}}, bytes(4)), "lacks its dtype"),
    "name twice": (
        safetensors(b"{" + raw_tensor()[1:-1] + b"," + raw_tensor(offsets=b"[4,8]")[1:-1] + b"}", bytes(8)),
        "'a' comes twice",
    ),
    "name twice, spelt otherwise": (
        safetensors(b"{" + raw_tensor()[1:-1] + b"," + raw_tensor(name=b'"\\u0061"')[1:-1] + b"}", bytes(8)),
        "'a' comes twice",
    ),
    "field twice": (
        safetensors(b'{"a":{"dtype":"F32","dtype":"F64","shape":[1],"data_offsets":[0,4]}}', bytes(4)),
        "its dtype twice",
    ),
    "metadata twice": (safetensors(b'{"__metadata__":{},"__metadata__":{}}'), "comes twice"),
    "metadata key twice": (safetensors(b'{"__metadata__":{"a":"","a":""}}'), "a key twice"),
    "metadata of numbers": (safetensors(b'{"__metadata__":{"a":1}}'), "needs"),
    "name not UTF-8": (safetensors(raw_tensor(name=b'"\xff"'), bytes(4)), "not UTF-8"),
    "name half a pair": (safetensors(raw_tensor(name=b'"\\ud800"'), bytes(4)), "surrogate"),
}


@pytest.mark.parametrize("case", LIES)
def test_lies(case, tmp_path):
    data, message = LIES[case]
    with pytest.raises(IntegrityError, match=message) as caught:
        opened(tmp_path / "a.safetensors", data)
    assert "a.safetensors" in str(caught.value)
    assert len(str(caught.value)) < 600


def test_a_header_may_not_exceed_its_limit(tmp_path):
    path = tmp_path / "a"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", 100_000_001))
        file.truncate(200_000_000)
    with pytest.raises(IntegrityError, match="at most 100000000 are possible"):
        _native.SafetensorsFile.open(bytes(path))


def test_files_that_are_none(tmp_path):
    with pytest.raises(WeightError, match="cannot be opened"):
        _native.SafetensorsFile.open(bytes(tmp_path / "nowhere"))
    with pytest.raises(WeightError, match="regular file"):
        _native.SafetensorsFile.open(bytes(tmp_path))


@given(data=st.data())
def test_damaged_files_give_one_clear_error(data, tmp_path_factory):
    good = safetensors({"__metadata__": {"a": "b"}, "x": one(), "y": one("F16", [2, 2], 4, 12)}, bytes(12))
    at = data.draw(st.integers(0, len(good) - 1))
    bad = bytearray(good)
    bad[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    path = tmp_path_factory.mktemp("damaged") / "a"
    try:
        file = opened(path, bytes(bad))
    except IntegrityError:
        return
    assert all(file.tensor(name).size >= 0 for name in file.names())
