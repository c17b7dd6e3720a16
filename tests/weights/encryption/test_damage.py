"""Files that were damaged, cut or forged are refused, and nothing is left of the attempt."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.weights.encryption.sealing import (
    CHUNK,
    KEY,
    SEALED,
    content,
    encrypted,
    refused,
)

from arrowmind.errors import (
    WeightError,
)
from arrowmind.weights.encryption import header as layout
from arrowmind.weights.encryption import secret as secrets
from arrowmind.weights.encryption.cipher import Keys
from arrowmind.weights.encryption.file import seal_chunks
from arrowmind.weights.encryption.header import FILE, HEADER_BYTES, TAG_BYTES, Header


@pytest.fixture(scope="module")
def sealed_bytes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sealed")
    keys = Keys.fresh(KEY)
    header, chunks = keys.create(FILE)
    with (folder / "f").open("w+b") as target, (folder / "p").open("w+b") as source:
        source.write(content(300))
        source.seek(0)
        seal_chunks(source, target, header, chunks, lambda _count: None)
    return folder, (folder / "f").read_bytes()


def test_every_flipped_bit_of_the_header_is_refused(sealed_bytes):
    folder, data = sealed_bytes
    for bit in range(8 * HEADER_BYTES):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        refused(folder, damaged, WeightError)


@given(place=st.integers(0, HEADER_BYTES + 300 + TAG_BYTES - 1), flip=st.integers(1, 255))
def test_any_flipped_byte_is_refused(sealed_bytes, place, flip):
    folder, data = sealed_bytes
    damaged = bytearray(data)
    damaged[place] ^= flip
    refused(folder, damaged, WeightError)


@given(data=st.binary(max_size=300))
def test_any_bytes_are_refused(sealed_bytes, data):
    refused(sealed_bytes[0], data, WeightError)
    refused(sealed_bytes[0], (b"ARROWENC\1" + data), WeightError)


def pieces(data):
    body = data[HEADER_BYTES:]
    return data[:HEADER_BYTES], [body[at : at + SEALED] for at in range(0, len(body), SEALED)]


def test_chunks_stay_in_their_places(tmp_path):
    head, chunks = pieces(encrypted(tmp_path, content(4 * CHUNK)).read_bytes())
    assert len(chunks) == 4
    attacks = {
        "swapped": [0, 2, 1, 3],
        "last first": [3, 0, 1, 2],
        "dropped first": [1, 2, 3],
        "dropped middle": [0, 2, 3],
        "repeated": [0, 1, 1, 2, 3],
        "last repeated": [0, 1, 2, 3, 3],
        "reversed": [3, 2, 1, 0],
    }
    for order in attacks.values():
        refused(tmp_path, head + b"".join(chunks[number] for number in order))
    for first, second in itertools.combinations(range(4), 2):
        order = list(chunks)
        order[first], order[second] = order[second], order[first]
        refused(tmp_path, head + b"".join(order))
    refused(tmp_path, head + b"".join(chunks) + bytes(1), match="bytes follow its end")
    refused(tmp_path, head + b"".join(chunks) + bytes(SEALED), match="bytes follow its end")


def test_a_file_that_is_cut_is_refused(tmp_path):
    data = encrypted(tmp_path, content(3 * CHUNK + 50)).read_bytes()
    borders = [0, 8, HEADER_BYTES, *(HEADER_BYTES + SEALED * count for count in range(1, 4)), len(data)]
    cuts = {border + off for border in borders for off in (-17, -16, -15, -1, 0, 1, 15, 16, 17)}
    for cut in sorted(cut for cut in cuts if 0 <= cut < len(data)):
        refused(tmp_path, data[:cut], WeightError)
    refused(tmp_path, data[: HEADER_BYTES + SEALED], match="cut short")


def test_chunks_of_another_file_are_refused(tmp_path):
    first = pieces(encrypted(tmp_path, content(3 * CHUNK)).read_bytes())
    second = pieces(encrypted(tmp_path, content(3 * CHUNK)).read_bytes())
    refused(tmp_path, first[0] + first[1][0] + second[1][1] + first[1][2], match="chunk 1")
    refused(tmp_path, first[0] + b"".join(second[1]), match="chunk 0")


def test_an_empty_last_chunk_is_refused(tmp_path):
    header, chunks = Keys.fresh(KEY).create(FILE)
    body = chunks.seal(0, bytes(CHUNK), is_last=False) + chunks.seal(1, b"", is_last=True)
    refused(tmp_path, header.encode() + body, match="last chunk is empty")


@pytest.mark.parametrize(
    "fields",
    [
        {"cost_log2": 63},
        {"cost_log2": 255},
        {"cost_log2": 20},
        {"cost_log2": 13},
        {"cost_log2": 0},
        {"lanes": 0},
        {"lanes": 5},
        {"lanes": 255},
        {"chunk_log2": 11},
        {"chunk_log2": 25},
        {"chunk_log2": 63},
        {"role": 2},
        {"kind": 2},
        {"kind": layout.KEY},
    ],
)
def test_a_hostile_header_is_refused_before_any_work(tmp_path, monkeypatch, fields):
    monkeypatch.setattr("arrowmind.weights.encryption.cipher.Scrypt", pytest.fail)
    values = {"kind": layout.PASSPHRASE, "cost_log2": 17, "lanes": 1, **fields}
    header = Header(bytes(32), bytes(32), **values)
    secret = secrets.passphrase_from_text("correct horse")
    refused(tmp_path, header.encode() + bytes(16), match="header", secret=secret)


@pytest.mark.parametrize(("offset", "value"), [(13, 1), (13, 255), (15, 1)])
def test_fields_without_a_choice_are_checked(tmp_path, offset, value):
    data = bytearray(Header(bytes(32), bytes(32), kind=layout.PASSPHRASE, cost_log2=17, lanes=1).encode())
    data[offset] = value
    refused(tmp_path, data + bytes(16), match="values that none has")


def test_other_files_and_versions(tmp_path):
    refused(tmp_path, b"ARROW1\0\0", WeightError, "not encrypted")
    data = bytearray(encrypted(tmp_path, b"x").read_bytes())
    data[8] = 2
    refused(tmp_path, data, WeightError, "upgrade")
