"""Encryption at rest: what comes back, and that nothing else ever does."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import os
import subprocess
import sys
import tracemalloc
import types
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from arrowmind.errors import (
    ConfigurationError,
    IntegrityError,
    InvalidArgumentError,
    StorageError,
    WeightError,
)
from arrowmind.weights import decrypt_model, encrypt_model, open_weights, verify_model
from arrowmind.weights.encryption import header as layout
from arrowmind.weights.encryption import secret as secrets
from arrowmind.weights.encryption.cipher import Keys
from arrowmind.weights.encryption.file import seal_chunks
from arrowmind.weights.encryption.header import FILE, HEADER_BYTES, INDEX, INDEX_NAME, TAG_BYTES, Header
from arrowmind.weights.encryption.index import Index, IndexEntry
from arrowmind.weights.encryption.secret import Secret

KEY = Secret(layout.KEY, bytes(range(32)))
OTHER = Secret(layout.KEY, bytes(32))
CHUNK = 1 << 12
SEALED = CHUNK + TAG_BYTES


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """Chunks of 4 KiB, so that small files have some."""
    create = Keys.create

    def smaller(self, role):
        from arrowmind.weights.encryption.cipher import Chunks, _mac

        header, _ = create(self, role)
        header = replace(header, chunk_log2=12)
        mac_key, chunk_key = self._file_keys(header)
        header = replace(header, mac=_mac(mac_key, header))
        return header, Chunks(chunk_key, header)

    monkeypatch.setattr(Keys, "create", smaller)


def content(size):
    return (b"%08d" * (size // 8 + 1) % tuple(range(size // 8 + 1)))[:size]


def encrypted(folder, data, secret=KEY, **options):
    (folder / "plain").write_bytes(data)
    encrypt_model(folder / "plain", folder / "sealed", secret, force=True, **options)
    return folder / "sealed"


def refused(folder, data, error=IntegrityError, match=None, secret=KEY):
    """Decrypting this is refused, and nothing is left of the attempt."""
    place = folder / "attack"
    place.mkdir(exist_ok=True)
    (place / "bad").write_bytes(data)
    with pytest.raises(error, match=match):
        decrypt_model(place / "bad", place / "text", secret)
    assert [path.name for path in place.iterdir()] == ["bad"]


def tree(folder):
    """Every name below a folder, with the bytes of files."""
    paths = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    return {name: path.read_bytes() if path.is_file() else None for name, path in paths.items()}


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 5])
def test_a_file_comes_back(tmp_path, size):
    sealed = encrypted(tmp_path, content(size))
    chunks = max(1, -(-size // CHUNK))
    assert sealed.stat().st_size == HEADER_BYTES + size + TAG_BYTES * chunks
    seen = []
    report = decrypt_model(sealed, tmp_path / "back", KEY, progress=lambda *step: seen.append(step))
    assert (tmp_path / "back").read_bytes() == content(size)
    assert (report.files, report.bytes) == (1, size)
    assert seen[-1] == (size, size, "sealed")


def test_the_bytes_are_those_of_the_specification(tmp_path):
    """Decrypts by the page docs/formats/encrypted.md alone."""
    data = encrypted(tmp_path, content(300 * CHUNK + 5)).read_bytes()
    assert data[:8] == b"ARROWENC"
    assert list(data[8:16]) == [1, 0, 0, 12, 0, 0, 0, 0]
    keys = HKDF(SHA256(), 64, salt=data[16:80], info=b"arrowmind.encrypted 1").derive(bytes(range(32)))
    assert data[80:112] == hmac.digest(keys[:32], data[:80], "sha256")
    cipher, head = AESGCM(keys[32:]), data[:112]
    text = b""
    for number in range(301):
        nonce = number.to_bytes(11, "big") + (b"\1" if number == 300 else b"\0")
        text += cipher.decrypt(nonce, data[112 + number * SEALED :][:SEALED], head)
    assert text == content(300 * CHUNK + 5)


def test_a_passphrase_is_scrypt(tmp_path):
    secret = secrets.passphrase_from_text("correct horse")
    data = encrypted(tmp_path, b"text", secret, cost_log2=14).read_bytes()
    assert list(data[9:15]) == [0, 1, 12, 14, 8, 1]
    root = hashlib.scrypt(b"correct horse", salt=data[16:48], n=1 << 14, r=8, p=1, dklen=32)
    keys = HKDF(SHA256(), 64, salt=data[16:80], info=b"arrowmind.encrypted 1").derive(root)
    assert AESGCM(keys[32:]).decrypt(bytes(11) + b"\1", data[112:], data[:112]) == b"text"
    decrypt_model(tmp_path / "sealed", tmp_path / "back", secret)
    assert (tmp_path / "back").read_bytes() == b"text"
    refused(tmp_path, data, match="passphrase is not", secret=secrets.passphrase_from_text("wrong horse"))
    refused(tmp_path, data, WeightError, "with a passphrase, not a key")


def test_nothing_repeats(tmp_path):
    first, second = (encrypted(tmp_path, content(100)).read_bytes() for _ in range(2))
    assert first[16:48] != second[16:48]
    assert first[48:80] != second[48:80]
    assert first[112:] != second[112:]


def test_text_that_a_killed_process_left_is_removed(tmp_path):
    sealed = encrypted(tmp_path, b"text")
    left = tmp_path / f".back.{(1 << 22) + 1}-{'0' * 16}.tmp"
    left.write_bytes(b"te")
    decrypt_model(sealed, tmp_path / "back", KEY)
    assert not left.exists()


def test_a_wrong_key_is_told(tmp_path):
    refused(tmp_path, encrypted(tmp_path, content(9)).read_bytes(), match="key is not the one", secret=OTHER)


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


def test_memory_does_not_grow_with_the_file(tmp_path):
    with (tmp_path / "plain").open("wb") as file:
        file.truncate(64 << 20)
    tracemalloc.start()
    try:
        encrypt_model(tmp_path / "plain", tmp_path / "sealed", KEY)
        decrypt_model(tmp_path / "sealed", tmp_path / "back", KEY)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 << 20


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "empty").mkdir()
    files = {"weights.arrow": content(2 * CHUNK), "config.json": b"{}", "manifest.json": b"[]", "none": b""}
    files |= {"deep/er/a.enc": b"a", "deep/b": b"b", "deep/c": b"c", INDEX_NAME: b"not an index", "ü": b"u"}
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture
def vault(tmp_path, model):
    encrypt_model(model, tmp_path / "vault", KEY)
    return tmp_path / "vault"


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


def folder_refused(vault, error=IntegrityError, match=None, secret=KEY):
    output = vault.with_name("back")
    before = sorted(path.name for path in vault.parent.iterdir())
    with pytest.raises(error, match=match):
        decrypt_model(vault, output, secret)
    assert sorted(path.name for path in vault.parent.iterdir()) == before


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


def private(path, data, mode=0o600):
    path.write_bytes(data)
    path.chmod(mode)
    return path


HEX = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"


@pytest.mark.parametrize(
    "text", [HEX, HEX.upper(), f" {HEX}\n", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="]
)
def test_keys(tmp_path, text):
    assert secrets.key_from_environment({"ARROWMIND_KEY": text}) == KEY
    assert secrets.key_from_file(private(tmp_path / "key", text.encode())) == KEY


@pytest.mark.parametrize("text", ["0" * 63, "0" * 66, "secretsecret", "AAECAwQ=", "!" * 44, "\u00e9" * 64])
def test_what_is_no_key(tmp_path, text):
    with pytest.raises(ConfigurationError, match="holds no key") as caught:
        secrets.key_from_environment({"ARROWMIND_KEY": text})
    assert text not in str(caught.value)
    with pytest.raises(ConfigurationError, match="holds no key"):
        secrets.key_from_file(private(tmp_path / "key", text.encode()))


def test_the_base64_of_the_web_is_taken():
    assert (
        secrets.parse_key("__" + "-" * 40 + "8=", "x").value
        == secrets.parse_key("//" + "+" * 40 + "8=", "x").value
    )


def test_no_key_in_the_environment():
    assert secrets.key_from_environment({}) is None
    assert secrets.key_from_environment({"ARROWMIND_KEY": ""}) is None


def test_a_secret_is_not_printed():
    text = repr(secrets.passphrase_from_text("correct horse"))
    assert "correct" not in text


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o666, 0o610])
def test_a_file_others_may_use_is_refused(tmp_path, mode):
    path = private(tmp_path / "key", HEX.encode(), mode)
    for read in (secrets.key_from_file, secrets.passphrase_from_file):
        with pytest.raises(ConfigurationError, match="chmod 600"):
            read(path)


def test_other_files_with_secrets(tmp_path):
    os.mkfifo(tmp_path / "pipe", 0o600)
    for path, match in [
        (tmp_path / "none", "cannot be read"),
        (tmp_path, "no file"),
        (tmp_path / "pipe", "no file"),
        (private(tmp_path / "big", b"0" * 5000), "more than 4096"),
        (private(tmp_path / "binary", b"\xff" * 32), "UTF-8"),
    ]:
        with pytest.raises(ConfigurationError, match=match):
            secrets.key_from_file(path)


def test_passphrases(tmp_path):
    read = secrets.passphrase_from_file
    expected = secrets.passphrase_from_text("caf\u00e9 horse")
    for text in ("caf\u00e9 horse", "cafe\u0301 horse\n", "caf\u00e9 horse\r\n"):
        assert read(private(tmp_path / "p", text.encode())) == expected
    with pytest.raises(ConfigurationError, match="2 lines"):
        read(private(tmp_path / "p", b"a\nb"))
    with pytest.raises(ConfigurationError, match="empty"):
        read(private(tmp_path / "p", b"\n"))
    (tmp_path / "plain").write_bytes(b"")
    with pytest.raises(ConfigurationError, match="too short"):
        encrypt_model(tmp_path / "plain", tmp_path / "out", secrets.passphrase_from_text("\u00e9" * 7))


def test_the_keyring_is_optional(monkeypatch):
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(ConfigurationError, match=r"arrowmind\[keyring\]"):
        secrets.key_from_keyring("laptop")


def test_the_keyring(monkeypatch):
    errors = types.ModuleType("keyring.errors")
    errors.KeyringError = type("KeyringError", (Exception,), {})
    kept = {("arrowmind", "laptop"): HEX, ("arrowmind", "bad"): "x"}

    def get_password(service, name):
        if name == "locked":
            raise errors.KeyringError("locked")
        return kept.get((service, name))

    ring = types.ModuleType("keyring")
    ring.get_password = get_password
    monkeypatch.setitem(sys.modules, "keyring", ring)
    monkeypatch.setitem(sys.modules, "keyring.errors", errors)
    assert secrets.key_from_keyring("laptop") == KEY
    for name, match in [
        ("bad", "holds no key"),
        ("locked", "cannot be read"),
        ("none", "keyring set arrowmind"),
    ]:
        with pytest.raises(ConfigurationError, match=match):
            secrets.key_from_keyring(name)


def test_weights_are_opened_without_cryptography():
    program = """
import sys
import arrowmind, arrowmind.weights, arrowmind.engine, arrowmind.weights.encryption.header
print(sorted({"cryptography", "keyring"} & set(sys.modules)))
"""
    path = str(Path(__file__).parents[2] / "python")
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.stdout == b"[]\n"


def test_the_index_has_its_own_role(vault):
    assert Header.decode((vault / INDEX_NAME).read_bytes()[:HEADER_BYTES], vault).role == INDEX
