"""Chunks that are small, and a model folder, plain and sealed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.weights.encryption.sealing import (
    CHUNK,
    KEY,
    content,
)

from arrowmind.weights import encrypt_model
from arrowmind.weights.encryption.cipher import Keys
from arrowmind.weights.encryption.header import INDEX_NAME


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
