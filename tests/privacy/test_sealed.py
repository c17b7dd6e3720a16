"""Files and pages of an encrypted store: what is written comes back, and nothing else does."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arrowmind.columnar import ArrowWriter, Field
from arrowmind.errors import IntegrityError, WeightError
from arrowmind.privacy.sealed.cipher import StoreCipher
from arrowmind.privacy.sealed.key_file import read_key, write_key
from arrowmind.privacy.sealed.looking import opened_text
from arrowmind.weights.encryption.header import KEY
from arrowmind.weights.encryption.secret import Secret

CHUNK = 1 << 20
CIPHER = StoreCipher(bytes(32))
MARKS = ("43ee124f943a1dbb", "5318645fabfe483f", "44a85d442e86caca")


def write(path, *pieces, cipher=CIPHER):
    with cipher.files.publish(path) as file:
        for piece in pieces:
            file.write(piece)


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 7])
def test_all_sizes_come_back(tmp_path, rng, size):
    data = rng.bytes(size)
    path = tmp_path / "a"
    write(path, data[: size // 3], data[size // 3 :])
    assert CIPHER.files.read(path) == data
    assert path.stat().st_size == CIPHER.files.stored_bytes(size)
    with CIPHER.files.opened(path) as memory:
        assert memory.read() == data


@settings(max_examples=40, deadline=None)
@given(st.lists(st.binary(max_size=70_000), max_size=40))
def test_however_it_is_written(tmp_path_factory, pieces):
    path = tmp_path_factory.mktemp("pieces") / "a"
    write(path, *pieces)
    assert CIPHER.files.read(path) == b"".join(pieces)


def test_a_file_belongs_to_its_name_and_key(tmp_path):
    path, other = tmp_path / "a", tmp_path / "b"
    write(path, b"something")
    assert CIPHER.owns(path)
    assert not StoreCipher(b"k" * 32).owns(path)
    path.rename(other)
    assert not CIPHER.owns(other)
    with pytest.raises(IntegrityError):
        CIPHER.files.read(other)
    other.write_bytes(b"something")
    assert not CIPHER.owns(other)
    with pytest.raises(WeightError, match="is not encrypted"):
        CIPHER.files.read(other)
    with pytest.raises(FileNotFoundError):
        CIPHER.files.read(path)


def test_a_failed_write_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), CIPHER.files.publish(tmp_path / "a") as file:
        file.write(b"half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_arrow_files_are_read_in_memory(tmp_path):
    path = tmp_path / "x.arrow"
    with CIPHER.files.publish(path) as file, ArrowWriter(file, [Field("n", "int64")]) as writer:
        writer.write_batch({"n": list(range(1000))})
    before = set(Path("/proc/self/fd").iterdir())
    arrow = CIPHER.files.open_arrow(path)
    path.unlink()
    numbers = arrow.batch(0).numbers("n")
    arrow.close()
    assert numbers.tolist() == list(range(1000))
    del numbers
    assert set(Path("/proc/self/fd").iterdir()) <= before


def test_what_is_derived_is_different_and_stays():
    """A change of these values would make every encrypted store unreadable."""
    one = StoreCipher(bytes(range(32)))
    assert one.mark == StoreCipher(bytes(range(32))).mark
    assert len({one.mark, one.database_key, one.blob_name("00" * 32), one.key.hex()}) == 4
    assert (one.mark, one.database_key[:16], one.blob_name("00" * 32)[:16]) == MARKS


def test_the_file_of_the_key(tmp_path):
    path, secret = tmp_path / "encryption.key", Secret(KEY, b"s" * 32)
    write_key(path, b"k" * 32, secret)
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_key(path, secret) == b"k" * 32
    write_key(path, b"short", secret)
    with pytest.raises(IntegrityError, match="holds no key of a store"):
        read_key(path, secret)


def test_every_page_of_a_database_is_seen(tmp_path):
    driver = pytest.importorskip("sqlcipher3")
    path = tmp_path / "catalogue.0011223344556677.encrypted"
    db = driver.connect(str(path), isolation_level=None)
    db.execute(f"PRAGMA key = \"x'{CIPHER.database_key}'\"")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("CREATE TABLE here (text TEXT)")
    rows = [f"row number {n} of the table" for n in range(600)]
    db.executemany("INSERT INTO here VALUES (?)", [(row,) for row in rows[:500]])
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.executemany("INSERT INTO here VALUES (?)", [(row,) for row in rows[500:]])
    db.execute("DELETE FROM here WHERE rowid = 550")  # free bytes, still there
    found = {}
    for file in (path, path.with_name(f"{path.name}-wal")):
        assert b"row number" not in file.read_bytes()
        with opened_text(file, CIPHER) as text:
            found[file.suffix] = text.read()
    db.close()
    main, log = found.values()
    assert main.startswith(b"\x10\x00")  # the head of SQLite behind its first 16 bytes: pages of 4096
    assert b"CREATE TABLE here" in main
    assert all(row.encode() in main for row in rows[:500])
    assert all(row.encode() in log for row in rows[500:])
