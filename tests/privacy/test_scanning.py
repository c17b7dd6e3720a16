"""No byte of what is looked for is overlooked, wherever it lies."""

from __future__ import annotations

import os
import sqlite3

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arrowmind.errors import InvalidArgumentError, StorageError
from arrowmind.privacy import scanning
from arrowmind.privacy.needles import MIN_BYTES, Sieve, pieces_of, text_forms
from arrowmind.privacy.scanning import find_bytes, find_bytes_apart


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(scanning, "_CHUNK_BYTES", 100)


def found(folder, *needles):
    return [(place.file, place.offset, place.needle) for place in find_bytes(folder, needles).places]


@pytest.mark.parametrize("count", [1, 50])
@pytest.mark.parametrize("offset", [0, 1, 80, 88, 99, 100, 101, 250, 288])
def test_wherever_it_lies(tmp_path, small_chunks, rng, offset, count):
    needles = [rng.bytes(12) for _ in range(count)]
    data = bytearray(rng.bytes(300))
    data[offset : offset + 12] = needles[-1]
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "file").write_bytes(data)
    (tmp_path / "other").write_bytes(b"")
    assert found(tmp_path, *needles) == [("deep/file", offset, count - 1)]


@given(st.binary(max_size=60), st.lists(st.binary(min_size=MIN_BYTES, max_size=40), min_size=1, max_size=40))
@settings(max_examples=200)
def test_the_sieve_finds_what_find_finds(between, pieces):
    data = between.join([*pieces[::2], *pieces[::2]]) + between
    expected = {
        (place, index)
        for index, piece in enumerate(pieces)
        for place in range(len(data))
        if data.startswith(piece, place)
    }
    assert set(Sieve(pieces).find(data)) == expected


@given(st.integers(129, 600), st.data())
def test_any_rest_of_127_bytes_holds_a_piece(size, data):
    needle = os.urandom(size)
    start = data.draw(st.integers(0, size - 127))
    rest = needle[start : start + 127]
    assert any(piece in rest for piece in pieces_of(needle))


def test_a_text_in_pages_of_a_database(tmp_path, rng):
    text = " ".join(map(str, rng.integers(0, 10**9, 2000).tolist()))
    with sqlite3.connect(tmp_path / "a.sqlite") as db:
        db.execute("create table t (x text)")
        db.execute("insert into t values (?)", (text,))
    db.close()
    assert text.encode() not in (tmp_path / "a.sqlite").read_bytes()
    assert found(tmp_path, text.encode())


def test_a_text_inside_of_json_and_in_other_scripts(tmp_path):
    text = 'Sie sagte "\u00fcbermorgen"\n\u4e0b\u4e2a\u6708'
    for place, form in enumerate(text_forms(text)):
        (tmp_path / "f").write_bytes(b"..." + form)
        assert found(tmp_path, *text_forms(text)) == [("f", 3, place)]


def test_packed_text_is_unpacked(tmp_path, rng):
    text = "the words that were packed away, " * 30
    packed = pa.Codec("zstd").compress(text.encode(), asbytes=True)
    assert b"packed away" not in packed[60:]
    (tmp_path / "cold").write_bytes(rng.bytes(1000) + packed + rng.bytes(1000) + packed)
    needle = text[200:260].encode()
    assert found(tmp_path, needle) == [("cold", 1000, 0)]
    (tmp_path / "cold").write_bytes(rng.bytes(1000) + packed[:-9] + packed)
    assert found(tmp_path, needle) == [("cold", 991 + len(packed), 0)]


def test_what_only_looks_packed_is_passed_over(tmp_path, rng):
    (tmp_path / "a").write_bytes((b"\x28\xb5\x2f\xfd" + rng.bytes(50)) * 20)
    assert found(tmp_path, b"nothing of the kind") == []


def test_what_is_too_short_is_said(tmp_path):
    (tmp_path / "a").write_bytes(b"yes" * 10)
    report = find_bytes(tmp_path, [b"yes", b"a needle of some length"])
    assert (report.places, report.short, report.files, report.bytes) == ((), (0,), 1, 30)


def test_links_and_pipes_are_passed_over(tmp_path):
    (tmp_path / "outside").write_bytes(b"a needle in the hay")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "link").symlink_to(tmp_path / "outside")
    os.mkfifo(inside / "pipe")
    assert found(inside, b"a needle in the hay") == []


def test_in_a_process_of_its_own(tmp_path):
    (tmp_path / "a").write_bytes(b"....a needle in the hay")
    needles = [b"short", b"a needle in the hay", b"another needle, not there"]
    assert find_bytes_apart(tmp_path, needles) == find_bytes(tmp_path, needles)
    assert len(find_bytes(tmp_path, needles).places) == 1


def test_a_process_of_its_own_keeps_the_locks_of_sqlite(tmp_path):
    one = sqlite3.connect(tmp_path / "a.sqlite", isolation_level=None)
    one.execute("create table t (x)")
    one.execute("begin immediate")
    find_bytes_apart(tmp_path, [b"a needle in the hay"])
    code = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('begin immediate')"
    done = scanning.subprocess.run(
        [scanning.sys.executable, "-c", code, tmp_path / "a.sqlite"], capture_output=True, check=False
    )
    assert b"locked" in done.stderr
    one.close()


def test_what_cannot_be_read_is_an_error(tmp_path, monkeypatch):
    with pytest.raises(InvalidArgumentError, match="is no folder"):
        find_bytes(tmp_path / "none", [])
    with pytest.raises(InvalidArgumentError, match="is no folder"):
        find_bytes_apart(tmp_path / "none", [])
    (tmp_path / "a").write_bytes(b"x")
    monkeypatch.setattr("pathlib.Path.open", lambda *_: (_ for _ in ()).throw(PermissionError(13, "no")))
    with pytest.raises(StorageError, match="nothing can be said of it"):
        find_bytes(tmp_path, [b"a needle in the hay"])
