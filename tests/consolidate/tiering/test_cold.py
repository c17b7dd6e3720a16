"""Cold memories: small, searched, back bit for bit."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from arrowmind.consolidate.tiering import ColdFile, ColdRow, write_cold
from arrowmind.errors import InvalidArgumentError, MemoryStoreError
from arrowmind.memory.vectors import quantise, query_bits, sign_codes

DIMENSION = 64


def sample(rng, count, dimension=DIMENSION):
    vectors = rng.standard_normal((count, dimension)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    ids = np.cumsum(rng.integers(1, 5, count)).tolist()
    rows = [
        ColdRow(
            id=id_,
            text=f"turn {id_} \u732b".encode(),
            metadata=json.dumps({"n": id_}).encode() if id_ % 3 else b"",
            timestamp=1_700_000_000_000_000 + id_ * 7_000_000,
            expires=0 if id_ % 5 else 2**62,
            category=id_ % 4,
            namespace=id_ % 2,
            access_count=id_ % 11,
            last_access=-id_,
        )
        for id_ in ids
    ]
    return vectors, rows


@pytest.fixture
def codes_of():
    return lambda vectors: sign_codes(quantise(vectors)[0])


@pytest.mark.parametrize("count", [1, 2, 1023, 1024, 1025, 2500])
def test_everything_comes_back(tmp_path, rng, codes_of, count):
    vectors, rows = sample(rng, count)
    write_cold(tmp_path / "a.cold", rows, codes_of(vectors), DIMENSION, "enc")
    file = ColdFile(tmp_path / "a.cold")
    assert len(file) == count
    assert list(file.rows()) == rows
    assert np.array_equal(file.codes(), codes_of(vectors))
    assert (file.dimension, file.encoder) == (DIMENSION, "enc")
    assert file.verify() == []
    some = [rows[i].id for i in rng.integers(0, count, 9)]
    assert file.get([*some, 10**9, -1]) == {row.id: row for row in rows if row.id in some}


def test_search_finds_the_nearest_codes(tmp_path, rng, codes_of):
    vectors, rows = sample(rng, 3000)
    codes = codes_of(vectors)
    write_cold(tmp_path / "a.cold", rows, codes, DIMENSION, "enc")
    file = ColdFile(tmp_path / "a.cold")
    for place in (0, 1500, 2999):
        found = file.search(vectors[place], 10)
        assert found[0] == (rows[place].id, pytest.approx(1.0, abs=0.02))
        distances = np.unpackbits(codes ^ query_bits(vectors[place]), axis=1).sum(axis=1)
        expected = np.sort(distances)[:10]
        assert [round(np.arccos(min(c, 1.0)) / np.pi * DIMENSION) for _, c in found] == expected.tolist()


@pytest.mark.parametrize("at", ["facts", "anywhere"])
def test_damage_is_told(tmp_path, rng, codes_of, at):
    vectors, rows = sample(rng, 1500)
    path = tmp_path / "a.cold"
    write_cold(path, rows, codes_of(vectors), DIMENSION, "enc")
    whole = path.read_bytes()
    places = rng.integers(0, 8 * len(whole), 40).tolist()
    if at == "facts":
        places = [8 * (whole.index(b"AMBK") + 40)]
    harmless = 0
    for place in places:
        flipped = bytearray(whole)
        flipped[place // 8] ^= 1 << place % 8
        path.write_bytes(flipped)
        try:
            file = ColdFile(path)
            harmless += file.verify() == [] and list(file.rows()) == rows
            assert file.verify() or list(file.rows()) == rows
        except MemoryStoreError:
            pass
    assert harmless <= len(places) // 4  # padding


def test_what_is_no_such_file(tmp_path, rng, codes_of):
    path = tmp_path / "a.cold"
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(MemoryStoreError, match=r"a\.cold: cannot be used"):
        ColdFile(path)
    vectors, rows = sample(rng, 3)
    for bad_rows, bad_codes in (
        ([], codes_of(vectors)[:0]),
        (rows[::-1], codes_of(vectors)),
        (rows, codes_of(vectors)[:, :4]),
        (rows[:2], codes_of(vectors)),
    ):
        with pytest.raises(InvalidArgumentError, match="ascending ids"):
            write_cold(path, bad_rows, bad_codes, DIMENSION, "enc")


def locomo_turns(shared_data):
    file = shared_data / "locomo" / "locomo-dev.json"
    if not file.is_file():
        pytest.skip(f"no {file}")
    for conversation in json.loads(file.read_text()):
        talk = conversation["conversation"]
        names = sorted((n for n in talk if re.fullmatch(r"session_\d+", n)), key=lambda n: int(n[8:]))
        for name in names:
            yield from ((turn["dia_id"], f"{turn['speaker']}: {turn['text']}") for turn in talk[name])


def test_fifteen_times_smaller_than_the_plain_row(shared_data, tmp_path, rng, codes_of):
    """A plain row: 768 numbers of 16 bits, the text, 64 bytes of what else there is."""
    turns = list(locomo_turns(shared_data))
    vectors = rng.standard_normal((len(turns), 384)).astype(np.float32)  # codes do not compress anyway
    start = 1_683_000_000_000_000
    rows = [
        ColdRow(
            i,
            text.encode(),
            json.dumps({"turn": name}).encode(),
            start + 37_000_000 * i,
            0,
            1,
            2,
            i % 5,
            start,
        )
        for i, (name, text) in enumerate(turns, start=1)
    ]
    path = tmp_path / "locomo.cold"
    write_cold(path, rows, codes_of(vectors), 384, "enc")
    file = ColdFile(path)
    plain = sum(768 * 2 + len(row.text) + 64 for row in rows)
    each = file.size / len(rows)
    print(
        f"{len(rows)} turns, plain {plain / len(rows):.0f} bytes, cold {each:.1f}: "
        f"{plain / file.size:.1f} times"
    )
    assert list(file.rows()) == rows
    assert plain >= 15 * file.size
