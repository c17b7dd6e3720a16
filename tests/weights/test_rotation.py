"""Another secret for what is encrypted, and looking through it, without text on a disk."""

from __future__ import annotations

import pytest

from arrowmind.errors import ConfigurationError, IntegrityError, WeightError
from arrowmind.weights import decrypt_model, encrypt_model, rotate_model, verify_encrypted
from arrowmind.weights.encryption.header import KEY
from arrowmind.weights.encryption.secret import Secret, passphrase_from_text

OLD, NEW = Secret(KEY, bytes(range(32))), Secret(KEY, bytes(32))
FILES = {"weights.arrow": b"w" * 3_000_001, "deep/config.json": b"{}", "empty": b""}


@pytest.fixture
def sealed(tmp_path):
    for name, data in FILES.items():
        (tmp_path / "plain" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "plain" / name).write_bytes(data)
    encrypt_model(tmp_path / "plain", tmp_path / "sealed", OLD)
    return tmp_path / "sealed"


@pytest.mark.parametrize("new", [NEW, passphrase_from_text("correct horse")], ids=["key", "passphrase"])
def test_a_folder_gets_another_secret(sealed, tmp_path, new):
    seen = []
    report = rotate_model(
        sealed, tmp_path / "anew", OLD, new, cost_log2=14, progress=lambda *step: seen.append(step)
    )
    assert (report.files, report.bytes) == (3, 3_000_003)
    assert seen[-1][:2] == (3_000_003, 3_000_003)
    with pytest.raises((IntegrityError, WeightError)):
        decrypt_model(tmp_path / "anew", tmp_path / "no", OLD)
    decrypt_model(tmp_path / "anew", tmp_path / "back", new)
    for name, data in FILES.items():
        assert (tmp_path / "back" / name).read_bytes() == data
    # Nothing of the old encryption is in the new one: other salt, ids, keys.
    old, fresh = ((folder / "weights.arrow.enc").read_bytes() for folder in (sealed, tmp_path / "anew"))
    assert len(old) == len(fresh)
    assert old[16:80] != fresh[16:80]
    assert old[112:144] != fresh[112:144]


def test_a_file_gets_another_secret_in_its_place(tmp_path):
    (tmp_path / "plain").write_bytes(FILES["weights.arrow"])
    encrypt_model(tmp_path / "plain", tmp_path / "sealed", OLD)
    rotate_model(tmp_path / "sealed", tmp_path / "anew", OLD, NEW)
    decrypt_model(tmp_path / "anew", tmp_path / "back", NEW)
    assert (tmp_path / "back").read_bytes() == FILES["weights.arrow"]


def test_no_text_touches_the_disk(sealed, tmp_path, monkeypatch):
    """Everything that is written is encrypted: no file ever holds a stretch of the text."""
    rotate_model(sealed, tmp_path / "anew", OLD, NEW)
    for path in (tmp_path / "anew").rglob("*"):
        assert path.is_dir() or b"w" * 16 not in path.read_bytes()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_what_was_changed_is_not_encrypted_anew(sealed, tmp_path):
    path = sealed / "weights.arrow.enc"
    data = bytearray(path.read_bytes())
    data[2_000_000] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(IntegrityError, match="weights"):
        rotate_model(sealed, tmp_path / "anew", OLD, NEW)
    assert not (tmp_path / "anew").exists()
    with pytest.raises(IntegrityError, match="weights"):
        verify_encrypted(sealed, OLD)


def test_looking_through(sealed):
    before = {path: path.read_bytes() for path in sealed.rglob("*") if path.is_file()}
    report = verify_encrypted(sealed, OLD)
    assert (report.files, report.bytes) == (3, 3_000_003)
    assert before == {path: path.read_bytes() for path in sealed.rglob("*") if path.is_file()}
    assert verify_encrypted(sealed / "empty.enc", OLD).files == 1
    with pytest.raises(IntegrityError, match="key is not the one"):
        verify_encrypted(sealed, NEW)


def test_short_passphrases_and_places_that_exist(sealed, tmp_path):
    with pytest.raises(ConfigurationError, match="too short"):
        rotate_model(sealed, tmp_path / "anew", OLD, passphrase_from_text("short"))
    with pytest.raises(WeightError, match="exists"):
        rotate_model(sealed, tmp_path / "plain", OLD, NEW)
    with pytest.raises(WeightError, match="overlaps"):
        rotate_model(sealed, sealed, OLD, NEW, force=True)
