"""On a real store: bytes of what was forgotten are found until it is compacted, and not afterwards."""

from __future__ import annotations

import numpy as np
import pytest
from tests.memory.fake_encoder import FakeEncoder

from arrowmind.errors import MemoryStoreError
from arrowmind.memory import MemoryStore
from arrowmind.memory.settings import StoreSettings
from arrowmind.memory.storage.vectors import quantise
from arrowmind.privacy import MemoryBytes, load_store_key, make_receipt, verify_receipt


@pytest.fixture
def encoder():
    return FakeEncoder()


def texts_of(rng, count):
    words = ["garden", "key", "letter", "window", "river", "stone", "paper", "music", "winter", "bread"]
    long = " ".join(rng.choice(words, 3000).tolist())
    return [f"{' '.join(rng.choice(words, 8))} number {n}" for n in range(count - 1)] + [f"{long} the last"]


def bytes_of(encoder, id_, text):
    """What a store keeps of a memory: its text, and the INT8 codes of its windows."""
    codes, _ = quantise(encoder.encode(encoder.windows(text)))
    return MemoryBytes(id_, text, [row.tobytes() for row in codes])


@pytest.mark.parametrize("flush_rows", [16, 10_000])
def test_a_receipt_needs_a_compaction(tmp_path, encoder, rng, flush_rows):
    key = load_store_key(tmp_path / "key")
    folder = tmp_path / "store"
    texts = texts_of(rng, 60)
    with MemoryStore(folder, encoder, settings=StoreSettings(flush_rows=flush_rows)) as store:
        ids = store.remember_many(texts)
        forgotten = [bytes_of(encoder, ids[n], texts[n]) for n in (3, 30, 59)]
        store.forget([memory.id for memory in forgotten])
        with pytest.raises(MemoryStoreError, match="compact it again"):
            make_receipt(folder, forgotten, store="s", key=key)
        store.compact()

        def kept():
            return (bytes_of(encoder, i, t) for i, t in zip(ids, texts, strict=True) if store.get(i))

        receipt = make_receipt(folder, forgotten, store="s", key=key, kept=kept)
        assert receipt.files > 1
        assert np.array_equal(receipt.ids, [ids[3], ids[30], ids[59]])
        store.remember("the process that looked did not take away any lock")
        assert store.verify().ok
    check = verify_receipt(receipt, folder, [memory.text for memory in forgotten], key=key)
    assert check.ok or receipt.kept
