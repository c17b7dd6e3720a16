"""What tests of the storage share."""

from __future__ import annotations

import pytest
from tests.memory.fake_encoder import FakeEncoder
from tests.memory.storage.cold_stores import COUNT, texts_of

from arrowmind.memory import MemoryStore


@pytest.fixture
def filled(tmp_path):
    with MemoryStore(tmp_path / "store", FakeEncoder(128)) as store:
        ids = store.remember_many(
            texts_of(),
            metadata=[{"n": i} if i % 3 else None for i in range(COUNT)],
            category=["a" if i % 2 else None for i in range(COUNT)],
            expires=[4_000_000_000 if i % 5 == 0 else None for i in range(COUNT)],
            namespace=["default" if i % 4 else "other" for i in range(COUNT)],
        )
        store.flush()
        yield store, ids
