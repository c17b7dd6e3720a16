"""Receipts: only for what is really gone, and for nothing else."""

from __future__ import annotations

import dataclasses
import json

import pytest

from arrowmind.errors import MemoryStoreError, StorageError
from arrowmind.privacy import (
    Access,
    AccessLog,
    MemoryBytes,
    load_store_key,
    make_receipt,
    read_receipt,
    verify_receipt,
)

TEXT = "Melanie: the spare key lies under the third pot"
OTHER = "Caroline: I moved the pots to the shed"


@pytest.fixture
def store(tmp_path):
    """A folder with files as a store has them."""
    folder = tmp_path / "store"
    (folder / "segments").mkdir(parents=True)
    (folder / "segments" / "0001.arrow").write_bytes(b"head" + OTHER.encode() + bytes(100))
    return folder


@pytest.fixture
def key(tmp_path):
    return load_store_key(tmp_path / "key")


def receipt_of(store, key, memories, **more):
    return make_receipt(store, memories, store="s-1", key=key, **more)


def test_what_is_gone_gets_a_receipt(tmp_path, store, key):
    with AccessLog(tmp_path / "access", key) as log:
        log.record(Access("forget", ids=(7,)), sync=True)
        receipt = receipt_of(
            store, key, [MemoryBytes(7, TEXT, [b"v" * 48])], head=log.head(), rewritten=["a"]
        )
        log.record(Access("recall"))
    assert (receipt.ids, receipt.files, receipt.rewritten, receipt.short) == ((7,), 1, ("a",), ())
    assert TEXT not in json.dumps(receipt.to_dict())
    receipt.save(tmp_path / "receipt.json")
    again = read_receipt(tmp_path / "receipt.json")
    assert again == receipt
    check = verify_receipt(again, store, [TEXT], key=key, log_folder=tmp_path / "access")
    assert check.ok
    assert (check.signed, check.logged, check.unknown, check.places) == (True, True, (), ())
    assert verify_receipt(again, store).ok


def test_what_is_still_there_gets_none(store, key):
    for name, data in (("text", TEXT.encode()), ("code", b"0123456789abcdef" * 3)):
        (store / "left").write_bytes(b"..." + data)
        with pytest.raises(MemoryStoreError, match="bytes of memory 7 are still in left at 3"):
            receipt_of(store, key, [MemoryBytes(7, TEXT, [b"0123456789abcdef" * 3])])
        (store / "left").unlink()
        assert name


def test_what_another_memory_holds_is_said(store, key):
    memories = [MemoryBytes(1, OTHER), MemoryBytes(2, TEXT)]
    with pytest.raises(MemoryStoreError, match="memory 1"):
        receipt_of(store, key, memories, kept=lambda: [MemoryBytes(3, "something else")])
    receipt = receipt_of(store, key, memories, kept=lambda: [MemoryBytes(3, OTHER + " yesterday")])
    assert receipt.kept == (1,)


def test_a_text_that_came_back_is_found(store, key):
    receipt = receipt_of(store, key, [MemoryBytes(7, TEXT)])
    (store / "backup").write_bytes(TEXT.encode())
    check = verify_receipt(receipt, store, [TEXT], key=key)
    assert not check.ok
    assert [(place.file, place.needle) for place in check.places] == [("backup", 0)]


def test_a_text_that_is_not_meant_is_said(store, key):
    receipt = receipt_of(store, key, [MemoryBytes(7, TEXT), MemoryBytes(8, "yes")])
    assert receipt.short == (8,)
    check = verify_receipt(receipt, store, [TEXT, "yes", "something else entirely"])
    assert (check.unknown, check.short, check.ok) == ((2,), (1,), False)


@pytest.mark.parametrize("name", ["ids", "time", "store", "files", "fingerprints", "kept", "log"])
def test_a_changed_receipt_is_not_signed(store, key, name):
    receipt = receipt_of(store, key, [MemoryBytes(7, TEXT)])
    value = getattr(receipt, name)
    other = {"ids": (8,), "fingerprints": ("0" * 64,), "kept": (7,), "files": 99}.get(name, "x")
    if name == "log":
        other = dataclasses.replace(value, number=5)
    assert receipt.signed_by(key)
    assert not dataclasses.replace(receipt, **{name: other}).signed_by(key)


def test_another_store_has_another_signature(tmp_path, store, key):
    receipt = receipt_of(store, key, [MemoryBytes(7, TEXT)])
    assert verify_receipt(receipt, store, key=load_store_key(tmp_path / "other")).signed is False


def test_a_log_that_lost_the_entry_is_noticed(tmp_path, store, key):
    with AccessLog(tmp_path / "access", key) as log:
        log.record(Access("forget", ids=(7,)), sync=True)
        receipt = receipt_of(store, key, [MemoryBytes(7, TEXT)], head=log.head())
    (path,) = (tmp_path / "access").glob("*.log")
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
    check = verify_receipt(receipt, store, log_folder=tmp_path / "access")
    assert check.logged is False
    assert not check.ok


@pytest.mark.parametrize(
    "change",
    [
        lambda values: [],
        lambda values: {**values, "version": 2},
        lambda values: {**values, "ids": ["7"]},
        lambda values: {**values, "ids": []},
        lambda values: {**values, "salt": "xyz"},
        lambda values: {**values, "more": 1},
        lambda values: {**values, "log": 5},
        lambda values: {name: value for name, value in values.items() if name != "time"},
    ],
)
def test_what_is_no_receipt_is_refused(tmp_path, store, key, change):
    values = receipt_of(store, key, [MemoryBytes(7, TEXT)]).to_dict()
    (tmp_path / "r").write_text(json.dumps(change(json.loads(json.dumps(values)))))
    with pytest.raises(MemoryStoreError, match="is no receipt"):
        read_receipt(tmp_path / "r")


def test_files_that_are_none(tmp_path):
    with pytest.raises(StorageError, match="cannot be read"):
        read_receipt(tmp_path / "none")
    for data in (b"", b"\xff", b"[" * 100_000):
        (tmp_path / "r").write_bytes(data)
        with pytest.raises(MemoryStoreError, match="is no receipt"):
            read_receipt(tmp_path / "r")


def test_thousands_of_memories_at_once(store, key, rng):
    memories = [
        MemoryBytes(n, f"memory {n} said {rng.integers(1 << 60)}", [rng.bytes(48)]) for n in range(3_000)
    ]
    (store / "rest").write_bytes(rng.bytes(4_000_000))
    assert len(receipt_of(store, key, memories).fingerprints) == 3_000
    (store / "rest").write_bytes(rng.bytes(2_000_000) + memories[-1].vectors[0] + rng.bytes(2_000_000))
    with pytest.raises(MemoryStoreError, match="memory 2999 are still in rest at 2000000"):
        receipt_of(store, key, memories)
