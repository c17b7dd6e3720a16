"""The GGUF reader: sound files value by value, and every way to lie."""

from __future__ import annotations

import gc
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.interchange.forge import ARRAY, STRING, array, entry, gguf, string, tensor, value, write_gguf

from arrowmind import _native
from arrowmind.errors import IntegrityError, WeightError

U8, U32, F32, BOOL = 0, 4, 6, 7


def opened(path, data):
    path.write_bytes(data)
    return _native.GgufFile.open(bytes(path))


def sound(**head):
    entries = [entry("general.architecture", STRING, "llama"), entry("n", U32, 7)]
    described = [tensor("a", [3, 2], 0, 0), tensor("b", [32], 8, 32)]
    return gguf(entries, described, bytes(range(24)) + bytes(8) + bytes(34), **head)


def test_tensors(tmp_path):
    file = opened(tmp_path / "a", sound(version=2))
    assert (file.version, file.alignment, file.names()) == (2, 32, ["a", "b"])
    assert file.shape("a") == (2, 3)
    assert (file.dtype("a"), file.dtype("b")) == ("F32", "Q8_0")
    assert file.tensor("a").tolist() == list(range(24))
    assert file.decode("a").tobytes() == bytes(range(24))
    assert file.tensor("b").size == 34


NUMBERS = {
    0: 255,
    1: -128,
    2: 65535,
    3: -32768,
    4: 2**32 - 1,
    5: -(2**31),
    6: 0.5,
    7: True,
    10: 2**64 - 1,
    11: -(2**63),
    12: 1e300,
}


def test_metadata_of_every_type(tmp_path):
    entries = [entry(f"k{kind}", kind, number) for kind, number in NUMBERS.items()]
    entries += [
        entry(f"a{kind}", ARRAY, array(kind, [value(kind, number)] * 3)) for kind, number in NUMBERS.items()
    ]
    entries += [
        entry("text", STRING, "grüße"),
        entry("none", STRING, ""),
        entry("bytes", STRING, b"\xff"),
        entry("texts", ARRAY, array(STRING, [string("a"), string(""), string(b"\xe2\x96")])),
        entry("no texts", ARRAY, array(STRING, [])),
        entry("no numbers", ARRAY, array(F32, [])),
        entry("nested", ARRAY, array(ARRAY, [array(U8, [b"\1", b"\2"]), array(ARRAY, [])])),
    ]
    found = opened(tmp_path / "a", gguf(entries)).metadata()
    for kind, number in NUMBERS.items():
        assert found[f"k{kind}"] == number
        assert type(found[f"k{kind}"]) is type(number)
        assert found[f"a{kind}"].tolist() == [number] * 3
    assert found["text"] == "grüße"
    assert found["none"] == ""
    assert found["bytes"] == b"\xff"
    assert found["texts"] == ["a", "", b"\xe2\x96"]
    assert found["no texts"] == []
    assert found["no numbers"].shape == (0,)
    assert [list(inner) for inner in found["nested"]] == [[1, 2], []]


def test_views_outlive_the_file(tmp_path):
    path = tmp_path / "a"
    file = opened(path, gguf([], [tensor("a", [4], 24, 0)], b"\1\2\3\4"))
    view = file.tensor("a")
    del file
    gc.collect()
    path.unlink()
    assert view.tolist() == [1, 2, 3, 4]
    assert not view.flags.writeable


def test_alignment(tmp_path):
    entries = [entry("general.alignment", U32, 4096)]
    described = [tensor("a", [1], 0, 0), tensor("b", [1], 0, 4096)]
    file = opened(tmp_path / "a", gguf(entries, described, bytes(4096) + b"\0\0\x80?", alignment=4096))
    assert file.alignment == 4096
    assert file.offset("b") == 8192
    assert file.decode("b").tolist() == [1.0]


def test_tensors_in_any_order_and_padding_at_the_end(tmp_path):
    described = [tensor("b", [1], 0, 32), tensor("a", [1], 0, 0)]
    file = opened(tmp_path / "a", gguf([], described, bytes(64)))
    assert file.names() == ["b", "a"]
    assert file.offset("b") - file.offset("a") == 32


def test_types_that_are_not_decoded(tmp_path):
    file = opened(tmp_path / "a", gguf([], [tensor("a", [256], 16, 0)], bytes(66)))
    assert file.dtype("a") == "IQ2_XXS"
    assert file.grid("a") is None
    with pytest.raises(WeightError, match="IQ2_XXS, which is not served"):
        file.decode("a")


def test_names_that_are_not_there(tmp_path):
    file = opened(tmp_path / "a", gguf())
    for ask in (file.shape, file.dtype, file.offset, file.tensor, file.decode, file.grid):
        with pytest.raises(WeightError, match="no tensor 'x'"):
            ask("x")


def alignment_of(kind, content):
    return gguf([entry("general.alignment", kind, content)], [tensor("a", [1], 0, 0)], bytes(4))


def two(first, second, data):
    return gguf([], [first, second], data)


HUGE = 2**63
LIES = {
    "nothing": (b"", "ends inside its head"),
    "no magic": (gguf(magic=b"GGML"), "does not begin with GGUF"),
    "head cut": (gguf()[:20], "ends inside its"),
    "n_tensors 2^32": (gguf(n_tensors=2**32), "4294967296 tensors, there is room for 0"),
    "n_kv 2^32": (gguf(n_kv=2**32) + bytes(1000), "4294967296 entries of metadata, there is room for 76"),
    "n_tensors 2^64 - 1": (gguf(n_tensors=2**64 - 1), "18446744073709551615 tensors"),
    "n_kv 2^63": (gguf(n_kv=HUGE), "9223372036854775808 entries"),
    "one entry too many": (gguf([entry("a", U32, 1)], n_kv=2), "room|ends inside"),
    "key of 2^63": (gguf([string("", declared=HUGE) + bytes(50)]), "9223372036854775808 key"),
    "key of 2^64 - 8": (gguf([string("", declared=2**64 - 8) + bytes(50)]), "18446744073709551608 key"),
    "no key": (gguf([entry("", U32, 1)] * 2), "key of 0 bytes"),
    "long key": (gguf([entry("k" * 70_000, U32, 1)]), "key of 70000 bytes"),
    "key not UTF-8": (gguf([entry(b"\xff", U32, 1)]), "key that is not UTF-8"),
    "key twice": (gguf([entry("a", U32, 1)] * 2), "metadata 'a' comes twice"),
    "string of 2^63": (
        gguf([string("a") + struct.pack("<I", STRING) + string("", declared=HUGE)]),
        "9223372036854775808 characters",
    ),
    "string past the end": (
        gguf([string("a") + struct.pack("<I", STRING) + string("abc", declared=4)]),
        "4 characters of a string, there is room for 3",
    ),
    "unknown type": (gguf([string("a") + struct.pack("<IQ", 13, 0)]), "unknown type 13"),
    "type 2^32 - 1": (gguf([string("a") + struct.pack("<IQ", 2**32 - 1, 0)]), "unknown type 4294967295"),
    "number cut": (gguf([string("aaaa") + struct.pack("<I", 10) + b"1"]), "ends inside its metadata"),
    "bool of 2": (gguf([string("aaaaa") + struct.pack("<I", BOOL) + b"\2"]), "neither 0 nor 1"),
    "bools of 2": (gguf([entry("a", ARRAY, array(BOOL, [b"\1", b"\2"]))]), "neither 0 nor 1"),
    "array of 2^32": (gguf([entry("a", ARRAY, array(U32, [], count=2**32))]), "4294967296 items"),
    "array of 2^62 numbers": (gguf([entry("a", ARRAY, array(U32, [], count=2**62))]), "items of an array"),
    "array of 2^61 strings": (gguf([entry("a", ARRAY, array(STRING, [], count=2**61))]), "items of an"),
    "array of an unknown type": (gguf([entry("a", ARRAY, array(99, [], count=0))]), "unknown type 99"),
    "nested arrays": (
        gguf(
            [entry("a", ARRAY, array(ARRAY, [array(ARRAY, [array(ARRAY, [array(ARRAY, [array(U8, [])])])])]))]
        ),
        "deeper than 4",
    ),
    "recursion": (gguf([entry("a", ARRAY, struct.pack("<IQ", ARRAY, 1) * 100_000)]), "deeper than 4"),
    "a million arrays": (gguf([entry("a", ARRAY, array(ARRAY, [array(U8, [])] * 70_000))]), "more arrays"),
    "alignment 0": (alignment_of(U32, 0), "alignment 0, a power of two"),
    "alignment 3": (alignment_of(U32, 3), "alignment 3, a power of two"),
    "alignment 2^31": (alignment_of(U32, 2**31), "alignment 2147483648"),
    "alignment as text": (alignment_of(STRING, "32"), "alignment that is no uint32"),
    "alignment of 8 bytes": (alignment_of(10, 32), "alignment that is no uint32"),
    "tensor without a name": (gguf([], [tensor("", [1], 0, 0)], bytes(4)), "tensor name of 0 bytes"),
    "tensor name not UTF-8": (gguf([], [tensor(b"\xc0", [1], 0, 0)], bytes(4)), "name that is not UTF-8"),
    "tensor name of 2^63": (
        gguf([], [string("", declared=HUGE) + bytes(20)], bytes(64)),
        "9223372036854775808 tensor name",
    ),
    "name twice": (two(tensor("a", [8], 0, 0), tensor("a", [8], 0, 32), bytes(64)), "tensor 'a' comes twice"),
    "five dimensions": (gguf([], [tensor("a", [1] * 5, 0, 0)], bytes(4)), "5 dimensions, at most 4"),
    "rank 2^32 - 1": (gguf([], [tensor("a", [1], 0, 0, rank=2**32 - 1)], bytes(4)), "4294967295 dim"),
    "size 0": (gguf([], [tensor("a", [0, 3], 0, 0)], bytes(4)), "size of 0"),
    "size 2^63": (gguf([], [tensor("a", [HUGE], 0, 0)], bytes(4)), "size of 9223372036854775808"),
    "size 2^64 - 1": (gguf([], [tensor("a", [2**64 - 1], 0, 0)], bytes(4)), "size of 18446744073709551615"),
    "product wraps to 0": (gguf([], [tensor("a", [2**32, 2**32], 0, 0)], bytes(4)), "more elements"),
    "product wraps to 4": (gguf([], [tensor("a", [2**62, 4, 1], 24, 0)], bytes(4)), "more elements"),
    "product wraps to little": (
        gguf([], [tensor("a", [2**31, 2**31, 4, 2], 24, 0)], bytes(4)),
        "more elements",
    ),
    "bytes wrap": (gguf([], [tensor("a", [2**62], 0, 0)], bytes(4)), "more bytes"),
    "bytes wrap in blocks": (gguf([], [tensor("a", [2**62], 8, 0)], bytes(64)), "lies at 0 of 64|more bytes"),
    "no whole blocks": (gguf([], [tensor("a", [33], 8, 0)], bytes(68)), "rows of 33 elements, Q8_0 needs"),
    "rows no whole blocks": (
        gguf([], [tensor("a", [16, 2], 8, 0)], bytes(34)),
        "rows of 16 elements, Q8_0 needs multiples of 32",
    ),
    "unknown tensor type": (gguf([], [tensor("a", [32], 4, 0)], bytes(64)), "unknown type 4"),
    "tensor type 2^32 - 1": (gguf([], [tensor("a", [32], 2**32 - 1, 0)], bytes(64)), "unknown type 42949"),
    "offset not aligned": (gguf([], [tensor("a", [1], 0, 4)], bytes(8)), "not at a multiple of 32"),
    "offset 2^63": (gguf([], [tensor("a", [1], 0, HUGE)], bytes(4)), "lies at 9223372036854775808"),
    "offset 2^64 - 32": (gguf([], [tensor("a", [1], 0, 2**64 - 32)], bytes(4)), "lies at 184467"),
    "past the end": (gguf([], [tensor("a", [9], 0, 0)], bytes(32)), "of 36 bytes lies at 0 of 32"),
    "no bytes at all": (gguf([], [tensor("a", [9], 0, 0)]), "of 36 bytes lies at 0 of"),
    "overlap": (two(tensor("a", [16], 0, 0), tensor("b", [8], 0, 32), bytes(64)), "it should at 64"),
    "the same place": (two(tensor("a", [8], 0, 0), tensor("b", [8], 0, 0), bytes(32)), "it should at 32"),
    "inside another": (two(tensor("a", [24], 0, 0), tensor("b", [1], 0, 32), bytes(96)), "should at 96"),
    "backwards and overlapping": (
        two(tensor("a", [8], 0, 32), tensor("b", [16], 0, 0), bytes(64)),
        "it should at 64",
    ),
    "gap in front": (gguf([], [tensor("a", [1], 0, 32)], bytes(64)), "it should at 0"),
    "gap between": (two(tensor("a", [1], 0, 0), tensor("b", [1], 0, 64), bytes(96)), "it should at 32"),
    "tensors cut": (gguf([], [tensor("a", [1], 0, 0)[:-4]], n_tensors=1), "room|ends inside"),
}


@pytest.mark.parametrize("case", LIES)
def test_lies(case, tmp_path):
    data, message = LIES[case]
    with pytest.raises(IntegrityError, match=message) as caught:
        opened(tmp_path / "a.gguf", data)
    assert "a.gguf" in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (sound(version=1), "GGUF version 1, 2 and 3 are read"),
        (sound(version=4), "GGUF version 4"),
        (sound(version=0), "GGUF version 0"),
        (sound(version=3 << 24), "big-endian"),
    ],
)
def test_versions_that_are_not_served(data, message, tmp_path):
    with pytest.raises(WeightError, match=message) as caught:
        opened(tmp_path / "a.gguf", data)
    assert not isinstance(caught.value, IntegrityError)


def test_every_cut_is_noticed(tmp_path):
    good = write_gguf(
        {"a": 1, "texts": ["a", "bc"], "numbers": [1.0, 2.0]}, {"x": ("F32", (2, 2), bytes(16))}
    )
    end = len(good.rstrip(b"\0")) + 16
    opened(tmp_path / "a", good)
    for size in range(min(end, len(good)) - 16):
        with pytest.raises(IntegrityError):
            opened(tmp_path / "a", good[:size])


def test_a_large_head_is_read_in_pieces(tmp_path):
    texts = [f"token {i}" for i in range(200_000)]
    found = opened(tmp_path / "a", write_gguf({"texts": texts, "n": 3}, {})).metadata()
    assert found["texts"] == texts
    assert found["n"] == 3


def test_the_head_is_limited(tmp_path):
    path = tmp_path / "a"
    with path.open("wb") as file:
        file.write(gguf(n_kv=1) + string("a") + struct.pack("<IIQ", ARRAY, U8, 1 << 30))
        file.truncate(2 << 30)
    with pytest.raises(IntegrityError, match="items of an array"):
        _native.GgufFile.open(bytes(path))


@given(data=st.data())
def test_damaged_files_give_one_clear_error(data, tmp_path_factory):
    good = sound()
    at = data.draw(st.integers(0, len(good) - 1))
    bad = bytearray(good)
    piece = st.binary(max_size=9) | st.sampled_from([b"\xff" * 8, b"\0" * 8, struct.pack("<Q", 2**63)])
    bad[at : at + data.draw(st.integers(0, 9))] = data.draw(piece)
    path = tmp_path_factory.mktemp("damaged") / "a"
    try:
        file = opened(path, bytes(bad))
    except WeightError:
        return
    file.metadata()
    for name in file.names():
        assert file.tensor(name).size > 0


def test_files_of_others(shared_data):
    place = shared_data / "stories260K" / "stories260K.gguf"
    if not place.exists():
        pytest.skip(f"no {place}")
    file = _native.GgufFile.open(bytes(place))
    assert len(file.names()) == 48
    assert file.metadata()["llama.block_count"] == 5
    raw = place.read_bytes()
    for name in file.names():
        values = file.decode(name)
        assert values.shape == file.shape(name)
        start = file.offset(name)
        assert values.tobytes() == raw[start : start + values.nbytes]


def test_a_vocabulary_alone(shared_data):
    place = shared_data / "gguf-vocab" / "ggml-vocab-gpt-2.gguf"
    if not place.exists():
        pytest.skip(f"no {place}")
    file = _native.GgufFile.open(bytes(place))
    assert file.names() == []
    metadata = file.metadata()
    assert len(metadata["tokenizer.ggml.tokens"]) == 50257
    assert metadata["tokenizer.ggml.token_type"].dtype == np.int32
