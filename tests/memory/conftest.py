from __future__ import annotations

import pytest
from tests.memory.fake_encoder import FakeEncoder

from arrowmind.memory import MemoryStore


@pytest.fixture
def encoder():
    return FakeEncoder()


@pytest.fixture
def store(tmp_path, encoder):
    with MemoryStore(tmp_path / "store", encoder) as opened:
        yield opened
