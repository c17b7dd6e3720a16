"""BM25: the index against the postings in memory, and both against the formula."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from arrowmind.memory import MemoryStore, RecallSettings
from arrowmind.memory.searching.bm25 import Postings
from arrowmind.memory.searching.terms import query_terms, terms

WORDS_ONLY = RecallSettings(vector_weight=0.0, text_weight=1.0)
VOCABULARY = [f"w{i}" for i in range(120)]


def random_texts(count: int, seed: int = 5) -> list[str]:
    rng = np.random.default_rng(seed)
    odds = 1 / np.arange(1, len(VOCABULARY) + 1)
    # Up to 40 terms: below that tantivy stores lengths exactly.
    return [" ".join(rng.choice(VOCABULARY, rng.integers(3, 40), p=odds / odds.sum())) for _ in range(count)]


def bm25(texts: list[str], query: list[str]) -> np.ndarray:
    counts = [Counter(terms(text)) for text in texts]
    lengths = np.array([sum(count.values()) for count in counts])
    scores = np.zeros(len(texts))
    for term in query:
        held = np.array([count[term] for count in counts])
        idf = math.log(1 + (len(texts) - (held > 0).sum() + 0.5) / ((held > 0).sum() + 0.5))
        scores += idf * 2.2 * held / (held + 1.2 * (0.25 + 0.75 * lengths / lengths.mean()))
    return scores


def test_postings_follow_the_formula():
    texts = random_texts(200)
    postings = Postings()
    for number, text in enumerate(texts):
        postings.add(number, text)
        postings.add(number, text)
    assert len(postings) == 200
    for query in (["w3", "w40"], ["w0"], ["w119", "nowhere"]):
        scores = postings.scores(query, {}, 0, 0)
        expected = bm25(texts, query)
        assert set(scores) == set(np.flatnonzero(expected).tolist())
        assert np.allclose([scores[i] for i in sorted(scores)], expected[expected > 0], rtol=1e-12)


def test_the_index_scores_as_the_postings_do(tmp_path, encoder):
    texts = random_texts(300)
    with MemoryStore(tmp_path / "s", encoder, recall_settings=WORDS_ONLY) as store:
        ids = store.remember_many(texts)
        queries = ["w3 w40", "w77", "w2 w9 w101"]
        before = [
            [(hit.id, hit.explain.text.bm25, hit.explain.text.words) for hit in store.recall(query, 20)]
            for query in queries
        ]
        store.flush()
        assert store.stats().indexed == len(ids)
        for query, expected in zip(queries, before, strict=True):
            hits = store.recall(query, 20)
            assert [hit.explain.text.words for hit in hits] == [words for _, _, words in expected]
            found = [hit.explain.text.bm25 for hit in hits]
            assert found == pytest.approx([score for _, score, _ in expected], rel=1e-5)
            exact = bm25(texts, list(query_terms(query)))
            assert found == pytest.approx(np.sort(exact)[::-1][: len(found)], rel=1e-5)


def test_indexed_and_new_memories_are_ranked_together(tmp_path, encoder):
    with MemoryStore(tmp_path / "s", encoder, recall_settings=WORDS_ONLY) as store:
        texts = random_texts(400)
        ids = store.remember_many(texts[:300])
        store.flush()
        ids += store.remember_many(texts[300:])
        hits = store.recall("w30 w55", 40)
        exact = bm25(texts, ["w30", "w55"])
        best = {ids[i] for i in np.argsort(-exact, kind="stable")[:40]}
        # The index knows its own statistics only, so places near the cut may differ.
        assert len(best & {hit.id for hit in hits}) >= 36
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_forgotten_memories_do_not_crowd_out_the_others(tmp_path, encoder):
    settings = RecallSettings(vector_weight=0.0, depth=5)
    with MemoryStore(tmp_path / "s", encoder, recall_settings=settings) as store:
        ids = store.remember_many(["needle needle needle"] * 60 + ["needle in the hay"] * 200)
        store.flush()
        store.forget(ids[:60])
        hits = store.recall("needle", 1)
        assert [hit.id for hit in hits] == [ids[60]]


@pytest.mark.parametrize("flushed", [False, True])
def test_chinese_japanese_korean(store, flushed):
    texts = [
        "\u6211\u559c\u6b22\u5317\u4eac\u70e4\u9e2d",
        "\u94a5\u5319\u5728\u84dd\u8272\u7684\u82b1\u76c6\u4e0b\u9762",
        "\u6771\u4eac\u30bf\u30ef\u30fc\u306f\u8d64\u3044",
        "\ud55c\uad6d\uc5b4 \uac80\uc0c9\uc740 \uc7ac\ubbf8\uc788\ub2e4",
    ]
    ids = store.remember_many(texts)
    if flushed:
        store.flush()
    queries = ["\u5317\u4eac", "\u82b1\u76c6\u5728\u54ea\u91cc", "\u30bf\u30ef\u30fc", "\uac80\uc0c9"]
    for id_, query in zip(ids, queries, strict=True):
        assert store.recall(query, 1)[0].id == id_


@pytest.mark.parametrize("flushed", [False, True])
@pytest.mark.parametrize(
    "query",
    [
        'key AND (pot OR "blue',
        "key +pot -blue",
        "text:key^2~3",
        "NOT key",
        "*key?",
        "key/pot\\",
        "[key TO pot]",
        "key'; DROP TABLE pending; --",
        "{key: pot}",
    ],
)
def test_operators_are_plain_text(store, query, flushed):
    id_ = store.remember_many(["the key is under the pot", "nothing of the sort"])[0]
    if flushed:
        store.flush()
    assert store.recall(query)[0].id == id_
