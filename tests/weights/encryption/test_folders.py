"""Encrypted model folders: what comes back, and what is refused."""

from __future__ import annotations

import os

import pytest
from tests.weights.encryption.sealing import (
    KEY,
    OTHER,
    folder_refused,
    refused,
    tree,
)

from arrowmind.errors import (
    IntegrityError,
    InvalidArgumentError,
    StorageError,
    WeightError,
)
from arrowmind.weights import decrypt_model, encrypt_model, open_weights, verify_model
from arrowmind.weights.encryption.header import HEADER_BYTES, INDEX, INDEX_NAME, Header
from arrowmind.weights.encryption.index import Index, IndexEntry


def test_a_folder_comes_back(tmp_path, model, vault):
    names = {name for name in tree(model) if (model / name).is_file()}
    assert {name for name in tree(vault) if (vault / name).is_file()} == {f"{name}.enc" for name in names} | {
        INDEX_NAME
    }
    report = decrypt_model(vault, tmp_path / "back", KEY)
    assert tree(tmp_path / "back") == tree(model)
    assert (report.files, report.bytes) == (9, sum(len(data or b"") for data in tree(model).values()))
    assert len({(vault / name).read_bytes()[16:48] for name in tree(vault) if (vault / name).is_file()}) == 1
    assert not any(b"00000001" in (data or b"") for data in tree(vault).values())


def test_a_folder_with_the_wrong_key(vault):
    folder_refused(vault, match="key is not the one", secret=OTHER)


def test_files_of_a_folder_stay_in_their_places(tmp_path, model, vault):
    (vault / "deep" / "b.enc").rename(tmp_path / "kept")
    folder_refused(vault, match="missing")
    (vault / "deep" / "b.enc").write_bytes((vault / "deep" / "c.enc").read_bytes())
    folder_refused(vault, match="swapped")
    (tmp_path / "kept").replace(vault / "deep" / "b.enc")
    encrypt_model(model, tmp_path / "second", KEY)
    (vault / "none.enc").write_bytes((tmp_path / "second" / "none.enc").read_bytes())
    folder_refused(vault, match="another encryption")


@pytest.mark.parametrize("name", ["weights.arrow.enc", "none.enc", INDEX_NAME])
def test_damage_in_a_folder(vault, name):
    data = (vault / name).read_bytes()
    for damaged in (data[:-1], data + b"\0", data[:-1] + bytes([data[-1] ^ 1]), data[:HEADER_BYTES], b""):
        (vault / name).write_bytes(damaged)
        folder_refused(vault, WeightError)


def test_sizes_are_those_of_the_index(tmp_path, model, monkeypatch):
    with monkeypatch.context() as patch:
        wrong = lambda size, file_id: IndexEntry(size + 1, file_id)  # noqa: E731
        patch.setattr("arrowmind.weights.encryption.model.IndexEntry", wrong)
        encrypt_model(model, tmp_path / "vault", KEY)
    folder_refused(tmp_path / "vault", match="holds not the")


def test_a_header_of_a_folder_with_another_salt(vault):
    data = bytearray((vault / "none.enc").read_bytes())
    data[20] ^= 1
    (vault / "none.enc").write_bytes(data)
    folder_refused(vault, match="its salt differs")


def test_a_file_of_the_folder_is_no_index(tmp_path, model):
    """Somebody whose file is encrypted among others cannot make it the index."""
    entry = IndexEntry(0, bytes(32))
    (model / "config.json").write_bytes(Index({"evil": entry}).encode())
    encrypt_model(model, tmp_path / "vault", KEY)
    vault = tmp_path / "vault"
    index = (vault / INDEX_NAME).read_bytes()
    (vault / INDEX_NAME).write_bytes((vault / "config.json.enc").read_bytes())
    folder_refused(vault, match="a file of a folder")
    refused(tmp_path, index, match="the index of a folder")


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "", ".", "a//b", "./a", "a/", "x\0y"])
def test_names_that_leave_the_folder_are_refused(tmp_path, name):
    with pytest.raises(IntegrityError, match="leaves the folder"):
        Index.decode(Index({name: IndexEntry(0, bytes(32))}).encode(), tmp_path)
    with pytest.raises(IntegrityError, match="leaves the folder"):
        Index.decode(Index(folders=[name]).encode(), tmp_path)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (b"\xff", IntegrityError),
        (b"[" * 100_000, IntegrityError),
        (b"[]", WeightError),
        (b'{"format": "arrowmind.encrypted", "version": 2}', WeightError),
        (b'{"format": "arrowmind.encrypted", "version": 1, "files": [], "folders": []}', IntegrityError),
        (
            b'{"format": "arrowmind.encrypted", "version": 1, "files": {"a": 1}, "folders": []}',
            IntegrityError,
        ),
        (b'{"format": "arrowmind.encrypted", "version": 1, "files": {}, "folders": [1]}', IntegrityError),
        (
            b'{"format": "arrowmind.encrypted", "version": 1, "folders": [],'
            b' "files": {"a": {"bytes": 1, "id": "zz"}}}',
            IntegrityError,
        ),
    ],
)
def test_an_index_that_is_none_is_refused(tmp_path, text, error):
    with pytest.raises(error):
        Index.decode(text, tmp_path / INDEX_NAME)


def test_a_huge_index_is_refused_unread(vault):
    with (vault / INDEX_NAME).open("r+b") as file:
        file.truncate(70 << 20)
    folder_refused(vault, match="more than any index")


def test_a_file_that_is_not_in_the_index_is_left_out(tmp_path, model, vault, caplog):
    (vault / "notes").write_bytes(b"x")
    decrypt_model(vault, tmp_path / "back", KEY)
    assert tree(tmp_path / "back") == tree(model)


def test_what_cannot_be_encrypted(tmp_path, model):
    os.mkfifo(model / "pipe")
    with pytest.raises(WeightError, match="neither a file nor a folder"):
        encrypt_model(model, tmp_path / "out", KEY)
    with pytest.raises(WeightError, match="neither a file nor a folder"):
        encrypt_model(model / "pipe", tmp_path / "out", KEY)
    (model / "pipe").unlink()
    (model / "loop").symlink_to(model, target_is_directory=True)
    with pytest.raises(WeightError, match="neither a file nor a folder"):
        encrypt_model(model, tmp_path / "out", KEY)
    with pytest.raises(WeightError, match="does not exist"):
        encrypt_model(tmp_path / "nothing", tmp_path / "out", KEY)
    with pytest.raises(InvalidArgumentError, match="cost_log2"):
        encrypt_model(model, tmp_path / "out", KEY, cost_log2=30)
    assert not (tmp_path / "out").exists()


def test_outputs(tmp_path, model):
    (tmp_path / "file").write_bytes(b"kept")
    for output in (model, model / "in", tmp_path):
        with pytest.raises(WeightError, match="overlaps"):
            encrypt_model(model, output, KEY, force=True)
    with pytest.raises(WeightError, match="exists"):
        encrypt_model(model / "none", tmp_path / "file", KEY)
    with pytest.raises(WeightError, match="exists"):
        encrypt_model(model, tmp_path / "file", KEY, force=True)
    with pytest.raises(StorageError, match="cannot be written"):
        encrypt_model(model / "none", tmp_path / "nowhere" / "file", KEY)
    assert (tmp_path / "file").read_bytes() == b"kept"
    encrypt_model(model, tmp_path / "vault", KEY)
    with pytest.raises(WeightError, match="exists"):
        encrypt_model(model, tmp_path / "vault", KEY)
    encrypt_model(model, tmp_path / "vault", OTHER, force=True)
    decrypt_model(tmp_path / "vault", tmp_path / "back", OTHER)
    assert tree(tmp_path / "back") == tree(model)


@pytest.mark.parametrize("name", ["weights.arrow", "."])
def test_an_interrupt_leaves_nothing(tmp_path, model, name):
    def interrupt(done, total, what):
        raise KeyboardInterrupt

    encrypt_model(model / name, tmp_path / "vault", KEY)
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(KeyboardInterrupt):
        encrypt_model(model / name, tmp_path / "out", KEY, progress=interrupt)
    with pytest.raises(KeyboardInterrupt):
        decrypt_model(tmp_path / "vault", tmp_path / "out", KEY, progress=interrupt)
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_what_is_encrypted_says_so_when_it_is_opened(vault):
    for path in (vault, vault / "weights.arrow.enc"):
        with pytest.raises(WeightError, match="arrowmind decrypt"):
            open_weights(path)
    with pytest.raises(WeightError, match="arrowmind decrypt"):
        verify_model(vault)


def test_the_index_has_its_own_role(vault):
    assert Header.decode((vault / INDEX_NAME).read_bytes()[:HEADER_BYTES], vault).role == INDEX
