"""Random sequences of calls against a dictionary that stands for the store."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule
from tests.memory.fake_encoder import FakeEncoder

from arrowmind.memory import MemoryStore, RecallSettings, StoreSettings

WORDS = st.sampled_from([f"word{i}" for i in range(12)])
TEXTS = st.lists(WORDS, min_size=1, max_size=6).map(" ".join)


class StoreMachine(RuleBasedStateMachine):
    """Small limits make every few calls flush, merge and rewrite; one-bit codes choose from the start."""

    ids = Bundle("ids")

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.encoder = FakeEncoder(32)
        self.model: dict[int, tuple[str, str | None]] = {}
        self.open()

    def open(self):
        self.store = MemoryStore(
            self.folder / "s",
            self.encoder,
            settings=StoreSettings(flush_rows=12, batch_rows=16, merge_count=3, orphan_seconds=0.0),
            recall_settings=RecallSettings(full_scan_rows=0),
        )

    def teardown(self):
        self.store.close()
        shutil.rmtree(self.folder)

    @rule(target=ids, texts=st.lists(TEXTS, max_size=20), category=st.sampled_from([None, "a", "b"]))
    def remember(self, texts, category):
        ids = self.store.remember_many(texts, category=category)
        assert not set(ids) & set(self.model)
        self.model.update({id_: (text, category) for id_, text in zip(ids, texts, strict=True)})
        return multiple(*ids)

    @rule(ids=st.lists(ids, max_size=8))
    def forget(self, ids):
        present = {id_ for id_ in ids if id_ in self.model}
        assert self.store.forget(ids) == len(present)
        for id_ in present:
            del self.model[id_]

    @rule(query=TEXTS, top_k=st.integers(1, 8))
    def recall(self, query, top_k):
        hits = self.store.recall(query, top_k)
        assert len(hits) == min(top_k, len(self.model))
        for hit in hits:
            assert self.model[hit.id][0] == hit.text
        scores = [hit.score for hit in hits]
        assert scores == sorted(scores, reverse=True)
        for hit in hits:
            exact = float(self.encoder.encode([query])[0] @ self.encoder.encode([hit.text])[0])
            assert abs(hit.explain.vector.cosine - exact) < 0.02

    @rule(category=st.sampled_from(["a", "b", "c"]))
    def recall_a_category(self, category):
        hits = self.store.recall("word1 word2", 1000, category=category)
        assert {hit.id for hit in hits} == {id_ for id_, value in self.model.items() if value[1] == category}

    @rule()
    def flush(self):
        self.store.flush()

    @rule()
    def compact(self):
        self.store.compact()

    @rule()
    def reopen(self):
        self.store.close()
        self.open()

    @invariant()
    def holds_the_same(self):
        assert self.store.stats().records == len(self.model)
        for id_, (text, category) in list(self.model.items())[::7]:
            record = self.store.get(id_)
            assert (record.text, record.category) == (text, category)

    @rule()
    def verify(self):
        assert self.store.verify().problems == []


TestStore = StoreMachine.TestCase
TestStore.settings = settings(derandomize=True, max_examples=10, stateful_step_count=20, deadline=None)


def test_vector_recall_is_exact_where_it_can_be(tmp_path):
    """INT8 over everything, and one-bit codes with rescoring, against float64 products."""
    rng = np.random.default_rng(20261109)
    centres = rng.standard_normal((40, 128))
    vectors = (centres[rng.integers(0, 40, 3000)] + 0.7 * rng.standard_normal((3000, 128))).astype(np.float32)
    queries = (centres[rng.integers(0, 40, 50)] + 0.7 * rng.standard_normal((50, 128))).astype(np.float32)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    exact = [np.argsort(-(unit @ query), kind="stable")[:10] for query in queries]
    with MemoryStore(tmp_path / "s") as store:
        ids = np.array(store.remember_many([f"t{i}" for i in range(3000)], vectors))
    for full_scan_rows, least in ((10**9, 0.98), (0, 0.97)):
        found = 0
        with MemoryStore(
            tmp_path / "s", recall_settings=RecallSettings(text_weight=0, full_scan_rows=full_scan_rows)
        ) as store:
            for query, best in zip(queries, exact, strict=True):
                hits = store.recall("?", 10, embedding=query)
                found += len({hit.id for hit in hits} & set(ids[best].tolist()))
        assert found / 500 >= least
